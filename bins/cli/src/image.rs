//! The images of actions: what the server has, and how more get there.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::Read as _,
    path::{Path, PathBuf},
};

use bootcode_api::{ClientError, OperatorClient};
use clap::Subcommand;
use serde_json::{Value, json};

use crate::{
    arguments::Format,
    error::{CliError, say},
    show::{self, Column, text},
};

/// Bytes that are sent at once; kept in memory until then.
const CHUNK_BYTES: usize = 8 << 20;
/// Bytes of an index or a manifest, the bound of the distribution specification.
const MANIFEST_BYTES: u64 = 4 << 20;
/// Indexes in indexes; a multi-platform image has one.
const DEPTH: usize = 4;
const REF_NAME: &str = "org.opencontainers.image.ref.name";

#[derive(Debug, Subcommand)]
pub(crate) enum Image {
    /// Pushes an image of an OCI image layout, as `skopeo copy` and `cargo xtask images` write it, to the server.
    Push {
        /// The layout's directory.
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
    /// Takes a name of an image away; the content stays, for other images may share it.
    Rm {
        /// NAME:TAG.
        name: String,
    },
}

/// Does what is asked.
pub(crate) async fn image(client: &OperatorClient, command: Image) -> Result<(), CliError> {
    match command {
        Image::Push { layout, name } => push(client, &Layout(layout), &name).await,
        Image::List { format } => list(client, format).await,
        Image::Rm { name } => {
            let (repository, tag) = split(&name)?;
            client.delete_tag(repository, tag).await?;
            show::line(&format!("removed {name}"))
        }
    }
}

async fn list(client: &OperatorClient, format: Format) -> Result<(), CliError> {
    let mut images = Vec::new();
    for repository in client.repositories().await? {
        for tag in client.tags(&repository).await? {
            let (manifest, digest) = match client.manifest(&repository, &tag).await {
                // Somebody took it away meanwhile.
                Err(ClientError::Registry { code, .. }) if code.ends_with("_UNKNOWN") => continue,
                found => found?,
            };
            let manifest: Value = serde_json::from_slice(&manifest).unwrap_or_default();
            let sizes = parts(&manifest).filter_map(|(part, _)| part["size"].as_u64());
            images.push(
                json!({"name": format!("{repository}:{tag}"), "digest": digest, "bytes": sizes.sum::<u64>()}),
            );
        }
    }
    let columns: &[Column] = &[
        ("NAME", |image| text(&image["name"])),
        ("BYTES", |image| text(&image["bytes"])),
        ("DIGEST", |image| text(&image["digest"])),
    ];
    match format {
        Format::Table if images.is_empty() => show::line("there is no image"),
        Format::Table => show::rows(columns, &images),
        format => show::value(&images.into(), format),
    }
}

/// What a manifest or an index refers to; whether it is a manifest again.
fn parts(manifest: &Value) -> impl Iterator<Item = (&Value, bool)> {
    let list = |key: &str| manifest[key].as_array().map(Vec::as_slice).unwrap_or_default();
    let blobs = list("layers").iter().chain(manifest.get("config")).map(|part| (part, false));
    list("manifests").iter().map(|part| (part, true)).chain(blobs)
}

async fn push(client: &OperatorClient, layout: &Layout, name: &str) -> Result<(), CliError> {
    let (repository, tag) = split(name)?;
    let mut sent = BTreeSet::new();
    // Children first: a manifest is kept only when all that it needs is there.
    let mut waiting = vec![(layout.image(name)?, tag.to_owned(), false, 0)];
    while let Some((descriptor, reference, complete, depth)) = waiting.pop() {
        let digest = text(&descriptor["digest"]);
        let bytes = layout.manifest(&digest)?;
        let manifest: Value =
            serde_json::from_slice(&bytes).map_err(|error| layout.fault(&digest, error.to_string()))?;
        if complete {
            let own = [&manifest["mediaType"], &descriptor["mediaType"]].into_iter().find_map(Value::as_str);
            let media_type = own.unwrap_or("application/vnd.oci.image.manifest.v1+json");
            client.put_manifest(repository, &reference, media_type, bytes.into()).await?;
            continue;
        }
        if depth == DEPTH {
            return Err(layout.fault(&digest, format!("indexes are nested more than {DEPTH} times")));
        }
        waiting.push((descriptor, reference, true, depth));
        for (part, is_manifest) in parts(&manifest) {
            let digest = text(&part["digest"]);
            if !sent.insert(digest.clone()) {
                continue;
            }
            if is_manifest {
                waiting.push((part.clone(), digest, false, depth + 1));
            } else if !client.has_blob(repository, &digest).await? {
                say(&format!("pushing {digest}, {} bytes", part["size"]));
                blob(client, layout, repository, &digest).await?;
            }
        }
    }
    show::line(&format!("pushed {name}"))
}

async fn blob(
    client: &OperatorClient,
    layout: &Layout,
    repository: &str,
    digest: &str,
) -> Result<(), CliError> {
    let mut file = layout.open(digest)?;
    let mut upload = client.begin_blob(repository).await?;
    loop {
        let mut chunk = Vec::new();
        let read = file.by_ref().take(CHUNK_BYTES as u64).read_to_end(&mut chunk);
        if read.map_err(|error| layout.fault(digest, error.to_string()))? == 0 {
            return Ok(client.finish_blob(upload, digest).await?);
        }
        upload = client.append_blob(upload, chunk.into()).await?;
    }
}

fn split(name: &str) -> Result<(&str, &str), CliError> {
    let whole = |(repository, tag): &(&str, &str)| {
        let of = |text: &str, more: &str| {
            !text.is_empty()
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || more.as_bytes().contains(&byte))
        };
        of(repository, "._-/") && !repository.contains(|c: char| c.is_uppercase()) && of(tag, "._-")
    };
    name.rsplit_once(':').filter(whole).ok_or_else(|| CliError::Usage {
        message: format!(
            "`{name}` is no image's name: write NAME:TAG with a name in lower case, as in disk-wipe:v3"
        ),
    })
}

/// An OCI image layout on this host.
struct Layout(PathBuf);

impl Layout {
    /// The descriptor of the image with that name; where there is one image only, that one.
    fn image(&self, name: &str) -> Result<Value, CliError> {
        let index = self.read(Path::new("index.json"))?;
        let index: Value =
            serde_json::from_slice(&index).map_err(|error| self.fault("index.json", error.to_string()))?;
        let images = index["manifests"].as_array().map(Vec::as_slice).unwrap_or_default();
        let called = |image: &&Value| image["annotations"][REF_NAME].as_str() == Some(name);
        match (images.iter().rev().find(called), images) {
            (Some(image), _) | (None, [image]) => Ok(image.clone()),
            _ => {
                let names: Vec<_> =
                    images.iter().map(|image| text(&image["annotations"][REF_NAME])).collect();
                let why =
                    format!("it has no image `{name}`, but {} others: {}", names.len(), names.join(" "));
                Err(self.fault("index.json", why))
            }
        }
    }

    fn manifest(&self, digest: &str) -> Result<Vec<u8>, CliError> {
        self.read(&self.blob(digest)?)
    }

    fn open(&self, digest: &str) -> Result<File, CliError> {
        let path = self.blob(digest)?;
        File::open(self.0.join(&path)).map_err(|error| self.fault(&path.to_string_lossy(), error.to_string()))
    }

    fn read(&self, file: &Path) -> Result<Vec<u8>, CliError> {
        let fault = |why: String| self.fault(&file.to_string_lossy(), why);
        let path = self.0.join(file);
        let len = fs::metadata(&path).map_err(|error| fault(error.to_string()))?.len();
        if len > MANIFEST_BYTES {
            return Err(fault(format!("it is larger than {MANIFEST_BYTES} bytes")));
        }
        fs::read(path).map_err(|error| fault(error.to_string()))
    }

    /// The file of a digest, which leads nowhere else.
    fn blob(&self, digest: &str) -> Result<PathBuf, CliError> {
        let hex =
            digest.strip_prefix("sha256:").filter(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let hex = hex.filter(|hex| hex.len() == 64);
        hex.map(|hex| Path::new("blobs/sha256").join(hex))
            .ok_or_else(|| self.fault("a manifest", format!("`{digest}` is no SHA-256 digest")))
    }

    fn fault(&self, file: &str, why: String) -> CliError {
        CliError::Image { layout: self.0.clone(), file: file.to_owned(), why }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_a_tag_and_digests_lead_nowhere_else() {
        assert_eq!(split("a/b:v1").unwrap(), ("a/b", "v1"));
        for wrong in ["a", ":v1", "a:", "a b:v1", "A:v1", "a:v1?x", "a:b/c", "a%2f:v1"] {
            assert!(split(wrong).is_err(), "{wrong}");
        }
        let layout = Layout("x".into());
        let hex = "0".repeat(64);
        assert_eq!(layout.blob(&format!("sha256:{hex}")).unwrap(), Path::new("blobs/sha256").join(&hex));
        for wrong in ["", "sha256:", "sha256:../../secret", "sha512:00", &hex] {
            assert!(layout.blob(wrong).is_err(), "{wrong}");
        }
    }
}
