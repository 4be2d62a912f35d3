//! The command line.

use std::{net::Ipv4Addr, path::PathBuf, str::FromStr};

use bootcode_api::Endpoint;
use bootcode_core::{
    document::{Kind, UnknownKind},
    mac::MacAddr,
};
use clap::{Parser, Subcommand, ValueEnum};

use crate::{describe::Selector, image::Image, preview};

const PREVIEW_EXAMPLES: &str = "Examples:
  bootcode preview-boot --mac 52:54:00:00:00:01 --arch x64-efi
  bootcode preview-boot --mac 52:54:00:00:00:01 --arch bios --user-class iPXE
  bootcode preview-boot --mac 52:54:00:00:00:01 --arch x64-efi-http -o yaml
  bootcode preview-boot --mac 52:54:00:00:00:01 --arch 11 --relay 10.1.0.1
  bootcode preview-boot --mac b8:27:eb:00:00:01 --arch 0
  bootcode preview-boot --mac 52:54:00:00:00:01 --program os --message renew --ip 192.168.99.11";

/// Declares machines and what they run, and shows what became of it.
#[derive(Debug, Parser)]
#[command(name = "bootcode", version, about)]
pub(crate) struct Arguments {
    /// The server: unix:PATH, https://HOST:PORT, or http://HOST:PORT on the loopback.
    #[arg(long, global = true, env = "BOOTCODE_SERVER", default_value = "unix:/run/bootcode/api.sock")]
    pub(crate) server: Endpoint,
    /// A file with an operator's token, which `bootcode-server token add` made; for http:// and https://.
    #[arg(long, global = true, env = "BOOTCODE_TOKEN_FILE", value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// The authorities that an https:// server's certificate is trusted by, in PEM; without it those of this system.
    #[arg(long, global = true, env = "BOOTCODE_CA_FILE", value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Applies documents: all of them, or none when any has a fault.
    Apply {
        /// A file or a directory of .yaml files; `-` is standard input. May be repeated.
        #[arg(short = 'f', long = "file", value_name = "PATH", required = true)]
        paths: Vec<PathBuf>,
    },
    /// Shows what an apply would create and change, field by field, and which disks would be written.
    ///
    /// Nothing is changed. The server checks the documents as an apply does, so it refuses what an apply would refuse.
    Diff {
        /// A file or a directory of .yaml files; `-` is standard input. May be repeated.
        #[arg(short = 'f', long = "file", value_name = "PATH", required = true)]
        paths: Vec<PathBuf>,
        /// How it is shown.
        #[arg(short = 'o', long = "output", value_enum, default_value_t)]
        format: Format,
        /// Ends with 1 where there is any difference, as `git diff --exit-code` does; without it only a refusal does.
        #[arg(long)]
        exit_code: bool,
    },
    /// Checks documents without a server.
    Validate {
        /// A file or a directory of .yaml files; `-` is standard input. May be repeated.
        #[arg(short = 'f', long = "file", value_name = "PATH", required = true)]
        paths: Vec<PathBuf>,
    },
    /// Shows the actions that a worker would be handed, without a server; secrets by their names.
    Render {
        /// A file or a directory of .yaml files; `-` is standard input. May be repeated.
        #[arg(short = 'f', long = "file", value_name = "PATH", required = true)]
        paths: Vec<PathBuf>,
        /// One of their Workflows; without it all.
        #[arg(long, value_name = "NAME")]
        workflow: Option<String>,
        /// How it is shown.
        #[arg(short = 'o', long = "output", value_enum, default_value_t)]
        format: Format,
    },
    /// Prints the JSON Schema of `bootcode/v1` documents, for editors; no server needed.
    Schema,
    /// Shows documents and their status.
    Get {
        /// network, profile, hardware, template, workflow, secret, or unknown: machines that asked and that no Hardware names.
        kind: Subject,
        /// One of them, an unknown machine by its MAC; without it all.
        name: Option<String>,
        /// Only those with these labels: label=value, several with commas between.
        #[arg(short = 'l', long, conflicts_with = "name")]
        selector: Option<Selector>,
        /// How they are shown.
        #[arg(short = 'o', long = "output", value_enum, default_value_t)]
        format: Format,
        /// A machine with its Profile's fields, and who says each of them.
        #[arg(long)]
        resolved: bool,
    },
    /// Shows everything about a document: as declared, its status, and what happened.
    Describe {
        /// network, profile, hardware, template, workflow, secret or unknown.
        kind: Subject,
        /// Which; an unknown machine by its MAC.
        name: String,
    },
    /// Tells what a client would be told by DHCP, and why; nothing is written, held or counted by it.
    ///
    /// The server asks itself with the client's own bytes, so what is shown is what would be sent. Ends with 0 where the client is answered,
    /// with 1 where it meets silence or a refusal, with 64 where the question makes no sense.
    #[command(after_help = PREVIEW_EXAMPLES)]
    PreviewBoot {
        #[command(flatten)]
        client: preview::Client,
        /// How it is shown.
        #[arg(short = 'o', long = "output", value_enum, default_value_t)]
        format: Format,
    },
    /// Puts images onto the server, of actions and of operating systems, and shows those that are there.
    #[command(subcommand)]
    Image(Image),
    /// Deletes a document that nothing refers to.
    Delete {
        /// network, profile, hardware, template or secret.
        kind: Kind,
        /// Which.
        name: String,
    },
    /// Declares a machine that asked and that no Hardware names: `get unknown` lists them.
    Adopt {
        /// Its MAC.
        mac: MacAddr,
        /// What it is called; without it by the host name that it gave, else by its MAC.
        #[arg(long)]
        name: Option<String>,
        /// Its reservation in the Network that it asked from.
        #[arg(long)]
        ip: Option<Ipv4Addr>,
        /// The Profile that it shares.
        #[arg(long)]
        profile: Option<String>,
        /// Prints the document and applies nothing: for a file in Git.
        #[arg(long)]
        dry_run: bool,
        /// Prints the document in this form and applies nothing.
        #[arg(short = 'o', long = "output", value_enum, default_value_t)]
        format: Format,
    },
    /// Prints what the actions of a workflow wrote.
    Logs {
        /// The workflow.
        workflow: String,
        /// One of its actions; without it all, in order.
        #[arg(long)]
        action: Option<String>,
        /// Goes on until the workflow ends.
        #[arg(short = 'f', long)]
        follow: bool,
    },
    /// Prints what happened to a machine, from its first packet on.
    Timeline {
        /// The machine.
        hardware: String,
        /// Goes on until interrupted.
        #[arg(short = 'f', long)]
        follow: bool,
        /// How it is shown; `json` is one event a line.
        #[arg(short = 'o', long = "output", value_enum, default_value_t)]
        format: Format,
    },
    /// Shows what changes of workflows and machines, a line each, until interrupted.
    Watch {
        /// How it is shown; `json` is one change a line.
        #[arg(short = 'o', long = "output", value_enum, default_value_t)]
        format: Format,
    },
    /// Lets a held workflow go on.
    Release {
        /// The workflow.
        workflow: String,
    },
    /// Ends a workflow.
    Cancel {
        /// The workflow.
        workflow: String,
    },
    /// Has a stopped workflow continue with the action that failed.
    Retry {
        /// The workflow.
        workflow: String,
    },
    /// Waits for a workflow's end; exit code 0 only when it succeeded.
    Wait {
        /// The workflow.
        workflow: String,
    },
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    #[default]
    Table,
    Yaml,
    Json,
}

/// What can be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    /// What people apply.
    Document(Kind),
    /// Machines that no Hardware names.
    Unknown,
}

impl FromStr for Subject {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if ["unknown", "unknowns"].contains(&text.to_ascii_lowercase().as_str()) {
            return Ok(Self::Unknown);
        }
        text.parse().map(Self::Document).map_err(|_: UnknownKind| {
            format!(
                "`{text}` is no kind: use network, profile, hardware, template, workflow, secret or unknown"
            )
        })
    }
}
