//! `bootcode image push`: an action's image of a layout gets to the server.

use std::{collections::BTreeSet, io::Read as _, path::PathBuf};

use bootcode_api::OperatorClient;
use serde_json::Value;

use super::{
    CHUNK_BYTES, Name, RESTARTS,
    blob::{self, Sending},
    layout::Layout,
    parts,
};
use crate::{
    error::{CliError, say},
    show::{self, text},
};

/// Indexes in indexes; a multi-platform image has one.
const DEPTH: usize = 4;

/// Pushes the image `name` of the layout or archive at `place`.
pub(super) async fn push(client: &OperatorClient, place: PathBuf, name: &str) -> Result<(), CliError> {
    let Name { repository, tag } = &Name::with_tag(name)?;
    let layout = &Layout::open(place, name).await?;
    let mut sent = BTreeSet::new();
    // Children first: a manifest is kept only when all that it needs is there.
    let mut waiting = vec![(layout.image(name)?, tag.clone(), false, 0)];
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
            } else if client.blob_len(repository, &digest).await?.is_none() {
                say(&format!("pushing {digest}, {} bytes", part["size"]));
                send(client, layout, repository, &digest).await?;
            }
        }
    }
    show::line(&format!("pushed {name}"))
}

async fn send(
    client: &OperatorClient,
    layout: &Layout,
    repository: &str,
    digest: &str,
) -> Result<(), CliError> {
    let mut restarts = 0;
    loop {
        let mut sending = Sending::begin(client, repository).await?;
        let sent = copy(&mut sending, layout, digest).await;
        let finished = match sent {
            Ok(()) => sending.finish(repository, digest).await,
            Err(error) => Err(error),
        };
        match finished {
            Err(error) if blob::is_lost(&error) && restarts < RESTARTS => restarts += 1,
            finished => return finished,
        }
    }
}

async fn copy(sending: &mut Sending<'_>, layout: &Layout, digest: &str) -> Result<(), CliError> {
    let mut file = layout.reader(digest)?;
    loop {
        let mut chunk = Vec::new();
        let read = file.by_ref().take(CHUNK_BYTES as u64).read_to_end(&mut chunk);
        if read.map_err(|error| layout.fault(digest, error.to_string()))? == 0 {
            return Ok(());
        }
        sending.send(chunk.into()).await?;
    }
}
