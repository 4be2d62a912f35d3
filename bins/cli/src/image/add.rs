//! `bootcode image add`: an operating system's image gets to the server, whole and verified or not at all.

use std::{
    fs::File,
    io::{Read as _, Seek as _},
    path::{Path, PathBuf},
};

use bootcode_api::OperatorClient;
use bootcode_core::image::OS_IMAGE;
use bytes::Bytes;
use reqwest::Url;
use serde_json::json;
use sha2::Digest as _;

use super::{
    CHUNK_BYTES, Name, RESTARTS, Sha256,
    blob::{self, Sending},
    download::{self, Download},
    format,
    list::MANIFEST,
    progress::Progress,
};
use crate::{
    arguments::Format,
    error::{CliError, say},
    show,
};

/// An artifact's empty configuration (OCI image specification 1.1, "Guidance for an Empty Descriptor").
const EMPTY: (&str, &[u8]) = ("application/vnd.oci.empty.v1+json", b"{}");

/// Adds the image that is at `from`.
pub(super) async fn add(
    client: &OperatorClient,
    from: &str,
    sha256: Option<Sha256>,
    name: Option<&str>,
    output: Format,
) -> Result<(), CliError> {
    let place = Place::of(from)?;
    let name = Name::or_latest(name.unwrap_or_else(|| place.file_name()))?;
    let sha256 = match (&place, sha256) {
        (_, Some(sha256)) => sha256,
        (Place::File(path), None) => Source::open_file(path)?.hash().await?,
        (Place::Url(_), None) => {
            let message = "what comes over a network is stored only with its digest: write --sha256 HEX, as the publisher \
                           tells it (often in SHA256SUMS); or download the file, check it, and add the file";
            return Err(CliError::Usage { message: message.to_owned() });
        }
    };
    let (repository, digest) = (name.repository.as_str(), sha256.digest());
    let len = match client.blob_len(repository, &digest).await? {
        Some(len) => {
            say(&format!("the server has sha256 {sha256} already; nothing is sent"));
            len
        }
        None => send(client, repository, Source::open(place, from).await?, &sha256).await?,
    };
    let media_type = format::media_type(&client.blob_start(repository, &digest, format::START_BYTES).await?);
    let config = keep_empty(client, repository).await?;
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": OS_IMAGE, "config": config,
        "layers": [{
            "mediaType": media_type, "digest": digest, "size": len,
            "annotations": {"org.opencontainers.image.title": repository},
        }],
    });
    client.put_manifest(repository, &name.tag, MANIFEST, manifest.to_string().into()).await?;
    let urls: Vec<_> = client.machines().await?;
    let urls: Vec<_> = urls.iter().map(|url| format!("{url}/v2/{repository}/blobs/{digest}")).collect();
    let format = format::name(media_type);
    if output != Format::Table {
        let added = json!({
            "name": name.to_string(), "format": format, "bytes": len, "sha256": sha256.to_string(), "urls": urls
        });
        return show::value(&added, output);
    }
    show::line(&format!("added {name}, {len} bytes of {format}"))?;
    show::line(&format!("os: {{image: {name}, sha256: {sha256}}}"))?;
    urls.iter().try_for_each(|url| show::line(&format!("machines get it at {url}")))
}

/// Sends an image, as often as the server forgets what came of it.
async fn send(
    client: &OperatorClient,
    repository: &str,
    mut source: Source,
    sha256: &Sha256,
) -> Result<u64, CliError> {
    let mut restarts = 0;
    loop {
        let mut sending = Sending::begin(client, repository).await?;
        match copy(&mut sending, &mut source, sha256).await {
            Ok(()) => {
                let len = sending.sent();
                match sending.finish(repository, &sha256.digest()).await {
                    Err(error) if blob::is_lost(&error) && restarts < RESTARTS => {}
                    finished => return finished.map(|()| len),
                }
            }
            Err(error) if blob::is_lost(&error) && restarts < RESTARTS => {}
            Err(error) => {
                sending.abandon().await;
                return Err(error);
            }
        }
        restarts += 1;
        say("the server has forgotten what was sent, as after a restart; it is sent again");
        source.rewind()?;
    }
}

async fn copy(sending: &mut Sending<'_>, source: &mut Source, sha256: &Sha256) -> Result<(), CliError> {
    let mut progress = Progress::new("sending");
    let mut hash = sha2::Sha256::new();
    while let Some(chunk) = source.chunk().await? {
        hash.update(&chunk);
        sending.send(chunk).await?;
        progress.at(sending.sent(), source.len());
    }
    let (what, found) = (source.shown.clone(), Sha256::finished(hash));
    if sending.sent() == 0 {
        return Err(CliError::EmptyImage { what });
    }
    if found == *sha256 {
        return Ok(());
    }
    let (expected, found) = (sha256.to_string(), found.to_string());
    Err(CliError::Digest { what, expected, found, bytes: sending.sent() })
}

/// The descriptor of the empty configuration, which the server then has.
async fn keep_empty(client: &OperatorClient, repository: &str) -> Result<serde_json::Value, CliError> {
    let (media_type, bytes) = EMPTY;
    let digest = Sha256::finished(sha2::Sha256::new_with_prefix(bytes)).digest();
    if client.blob_len(repository, &digest).await?.is_none() {
        let mut sending = Sending::begin(client, repository).await?;
        sending.send(Bytes::from_static(bytes)).await?;
        sending.finish(repository, &digest).await?;
    }
    Ok(json!({"mediaType": media_type, "digest": digest, "size": bytes.len()}))
}

/// Where an image comes from.
enum Place {
    Url(Url),
    File(PathBuf),
}

impl Place {
    fn of(text: &str) -> Result<Self, CliError> {
        if !text.contains("://") {
            return Ok(Self::File(text.into()));
        }
        let usage =
            |why: String| CliError::Usage { message: format!("{why}: write http://, https:// or a file") };
        let url: Url = text.parse().map_err(|error| usage(format!("the URL cannot be read: {error}")))?;
        match url.scheme() {
            "http" | "https" => Ok(Self::Url(url)),
            scheme => Err(usage(format!("nothing is fetched by {scheme}://"))),
        }
    }

    /// The last part of it, by which it is called where nobody says otherwise.
    fn file_name(&self) -> &str {
        match self {
            Self::Url(url) => url.path().rsplit('/').next().unwrap_or_default(),
            Self::File(path) => path.file_name().and_then(|name| name.to_str()).unwrap_or_default(),
        }
    }
}

/// An image's bytes.
struct Source {
    shown: String,
    from: From,
}

enum From {
    File { file: File, len: u64 },
    Url(Box<Download>),
}

impl Source {
    async fn open(place: Place, text: &str) -> Result<Self, CliError> {
        match place {
            Place::File(_) => Self::open_file(Path::new(text)),
            Place::Url(url) => {
                let shown = download::shown(&url);
                Ok(Self { shown, from: From::Url(Box::new(Download::open(url).await?)) })
            }
        }
    }

    fn open_file(path: &Path) -> Result<Self, CliError> {
        let unread = |source| CliError::Unread { file: path.to_owned(), source };
        let file = File::open(path).map_err(unread)?;
        let metadata = file.metadata().map_err(unread)?;
        if !metadata.is_file() {
            return Err(unread(std::io::Error::other("it is no regular file")));
        }
        Ok(Self { shown: path.display().to_string(), from: From::File { file, len: metadata.len() } })
    }

    const fn len(&self) -> Option<u64> {
        match &self.from {
            From::File { len, .. } => Some(*len),
            From::Url(download) => download.total(),
        }
    }

    /// The next bytes, as many as are sent at once; `None` at the end.
    async fn chunk(&mut self) -> Result<Option<Bytes>, CliError> {
        let mut chunk = Vec::new();
        match &mut self.from {
            From::File { file, .. } => {
                let read = file.by_ref().take(CHUNK_BYTES as u64).read_to_end(&mut chunk);
                read.map_err(|source| CliError::Unread { file: self.shown.as_str().into(), source })?;
                // A file is read without waiting, and an interrupt is to be heard.
                tokio::task::yield_now().await;
            }
            From::Url(download) => {
                while chunk.len() < CHUNK_BYTES
                    && let Some(bytes) = download.chunk().await?
                {
                    chunk.extend_from_slice(&bytes);
                }
            }
        }
        Ok(Some(Bytes::from(chunk)).filter(|chunk| !chunk.is_empty()))
    }

    fn rewind(&mut self) -> Result<(), CliError> {
        match &mut self.from {
            From::File { file, .. } => {
                let rewound = file.rewind();
                rewound.map_err(|source| CliError::Unread { file: self.shown.as_str().into(), source })
            }
            From::Url(download) => {
                download.rewind();
                Ok(())
            }
        }
    }

    /// The digest of all of it.
    async fn hash(mut self) -> Result<Sha256, CliError> {
        let mut progress = Progress::new("hashing");
        let (mut hash, mut done) = (sha2::Sha256::new(), 0);
        while let Some(chunk) = self.chunk().await? {
            hash.update(&chunk);
            done += chunk.len() as u64;
            progress.at(done, self.len());
        }
        Ok(Sha256::finished(hash))
    }
}
