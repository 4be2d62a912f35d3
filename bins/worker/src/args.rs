//! The command line.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

/// Runs the actions of this machine's workflow as containers.
///
/// Without --server everything is read from the kernel command line (bootcode.server= bootcode.worker= bootcode.token=, or
/// bootcode.server= bootcode.inventory= on a machine that nobody declared), as in OSIE: then the containers are run by crun, the
/// disks that the workflow did not select are made read-only, and the machine is restarted or powered off at the workflow's end.
#[derive(Debug, Parser)]
#[command(name = "bootcode-worker", version)]
pub(crate) struct Args {
    /// The server for machines, as http://192.168.99.1:7080
    #[arg(long, requires = "who")]
    pub(crate) server: Option<String>,
    /// The name of this machine's Hardware document
    #[arg(long, group = "who", requires = "server", requires = "token_file")]
    pub(crate) id: Option<String>,
    /// A file with this worker's token
    #[arg(long, requires = "id")]
    pub(crate) token_file: Option<PathBuf>,
    /// A file with the token of a machine that nobody declared: its inventory is told, and nothing is run
    #[arg(long, group = "who", requires = "server")]
    pub(crate) inventory_token_file: Option<PathBuf>,
    /// What runs the containers [default: docker where it is built in; oci from the kernel command line]
    #[arg(long, value_enum)]
    pub(crate) runtime: Option<Runtime>,
    /// The OCI runtime's program
    #[arg(long, default_value = "/usr/bin/crun")]
    pub(crate) crun: PathBuf,
    /// Where the nonce and outcomes that are not yet reported are kept; must be empty after a boot
    #[arg(long, default_value = "/run/bootcode")]
    pub(crate) run_dir: PathBuf,
    /// Where images, containers and shared directories are kept [default: RUN_DIR/state; /var/lib/bootcode from the
    /// kernel command line]
    #[arg(long)]
    pub(crate) state_dir: Option<PathBuf>,
    /// Make every disk of this machine read-only that the workflow did not select. Always so from the kernel command
    /// line; elsewhere it stops a host from writing to its own disks
    #[arg(long)]
    pub(crate) protect_disks: bool,
    /// Say more
    #[arg(long, short)]
    pub(crate) verbose: bool,
}

/// What runs containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Runtime {
    /// A Docker engine ($DOCKER_HOST, else its socket). It pulls from the server's registry, which is plain HTTP: unless
    /// the server is on 127.0.0.0/8, name it under `insecure-registries` in the engine's daemon.json
    Docker,
    /// crun, without a daemon
    Oci,
}

impl Runtime {
    /// What a worker takes that was not started by OSIE.
    pub(crate) const ON_A_HOST: Self = if cfg!(feature = "docker") { Self::Docker } else { Self::Oci };
}
