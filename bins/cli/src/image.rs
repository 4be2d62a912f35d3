//! Images on the server: of actions, which are containers, and of operating systems; what it has, and how more get there.

mod add;
mod archive;
mod blob;
mod docker;
mod download;
mod format;
mod layout;
mod list;
mod name;
mod progress;
mod push;
mod resume;

use std::path::PathBuf;

use bootcode_api::{OperatorClient, client::Freed};
use clap::Subcommand;
use serde_json::Value;

use crate::{arguments::Format, error::CliError, show};
pub(crate) use download::FetchError;
use name::{Name, Sha256};

/// Bytes that are sent at once; kept in memory until then.
const CHUNK_BYTES: usize = 8 << 20;
/// Times that an upload begins again because the server forgot it, which it does when it is restarted.
const RESTARTS: usize = 3;

#[derive(Debug, Subcommand)]
pub(crate) enum Image {
    /// Stores an image of an operating system on the server, for machines to install: fetched once, and kept only with the right digest.
    ///
    /// From a URL it is streamed through this host, which keeps nothing of it; a connection that breaks is taken up again where it
    /// broke. A URL needs --sha256, as its publisher tells it; for a file, its own digest is printed.
    Add {
        /// Where the image is: http:// or https://, or a file of this host; as it is, compressed or not.
        #[arg(value_name = "URL|FILE")]
        from: String,
        /// Its SHA-256 digest, 64 hexadecimal digits.
        #[arg(long, value_name = "HEX")]
        sha256: Option<Sha256>,
        /// What it is called, as `os: {image: NAME}` names it: NAME or NAME:TAG in lower case; without it the last part of URL or FILE.
        #[arg(long)]
        name: Option<String>,
        /// How what was added is shown.
        #[arg(short = 'o', long = "output", value_enum, default_value_t)]
        format: Format,
    },
    /// Pushes an action's image to the server: of an OCI image layout, as `skopeo copy` and `cargo xtask images` write it, in a directory or
    /// a tar, or of what `docker save` and `podman save` write.
    Push {
        /// The layout's directory, or the archive.
        #[arg(value_name = "DIRECTORY|ARCHIVE")]
        layout: PathBuf,
        /// What it is called, as templates name it: NAME:TAG.
        name: String,
    },
    /// Shows the images that the server has.
    List {
        /// How they are shown.
        #[arg(short = 'o', long = "output", value_enum, default_value_t)]
        format: Format,
    },
    /// Takes a name of an image away. Content that no other image has goes, too: at once, or within two hours where a push may need it.
    Rm {
        /// NAME:TAG, or the NAME of an operating system's image.
        name: String,
    },
}

/// Does what is asked.
pub(crate) async fn image(client: &OperatorClient, command: Image) -> Result<(), CliError> {
    match command {
        Image::Add { from, sha256, name, format } => {
            add::add(client, &from, sha256, name.as_deref(), format).await
        }
        Image::Push { layout, name } => push::push(client, layout, &name).await,
        Image::List { format } => list::list(client, format).await,
        Image::Rm { name } => {
            let Name { repository, tag } = Name::or_latest(&name)?;
            let freed = client.delete_tag(&repository, &tag).await?;
            show::line(&format!("removed {name}{}", freed.map_or_else(String::new, said)))
        }
    }
}

/// What came of the content of a name that was removed.
fn said(freed: Freed) -> String {
    match freed {
        Freed { bytes: 0, later: 0 } => "; other images have its content".to_owned(),
        Freed { bytes, later: 0 } => format!("; {bytes} bytes are free"),
        Freed { bytes: 0, later } => {
            format!("; {later} bytes are freed within two hours, unless a push needs them")
        }
        Freed { bytes, later } => {
            format!("; {bytes} bytes are free, {later} are within two hours, unless a push needs them")
        }
    }
}

/// What a manifest or an index refers to; whether it is a manifest again.
fn parts(manifest: &Value) -> impl Iterator<Item = (&Value, bool)> {
    let list = |key: &str| manifest[key].as_array().map(Vec::as_slice).unwrap_or_default();
    let blobs = list("layers").iter().chain(manifest.get("config")).map(|part| (part, false));
    list("manifests").iter().map(|part| (part, true)).chain(blobs)
}
