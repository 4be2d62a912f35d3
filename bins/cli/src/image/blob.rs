//! A blob on its way to the server.

use std::time::Duration;

use bootcode_api::{ClientError, OperatorClient, client::Upload};
use bytes::{Buf as _, Bytes};
use tokio::time::sleep;

use crate::error::CliError;

/// Tries of one chunk: with the pauses between them half a minute, in which a server starts again.
const TRIES: u32 = 7;
/// The first pause; each one after it is twice as long.
const PAUSE: Duration = Duration::from_millis(250);

/// An upload that goes on where it broke off.
pub(super) struct Sending<'a> {
    client: &'a OperatorClient,
    upload: Upload,
    sent: u64,
}

impl<'a> Sending<'a> {
    pub(super) async fn begin(client: &'a OperatorClient, repository: &str) -> Result<Self, CliError> {
        Ok(Self { client, upload: client.begin_blob(repository).await?, sent: 0 })
    }

    /// Bytes that the server has.
    pub(super) const fn sent(&self) -> u64 {
        self.sent
    }

    pub(super) async fn send(&mut self, mut chunk: Bytes) -> Result<(), CliError> {
        let mut tries = 0;
        while !chunk.is_empty() {
            match self.client.append_blob(&self.upload, self.sent, chunk.clone()).await {
                Ok(upload) => {
                    self.upload = upload;
                    self.sent += chunk.len() as u64;
                    return Ok(());
                }
                Err(error) if tries == TRIES || !is_passing(&error) => return Err(error.into()),
                Err(_) => {
                    sleep(PAUSE * (1 << tries)).await;
                    tries += 1;
                    self.catch_up(&mut chunk).await?;
                }
            }
        }
        Ok(())
    }

    /// Leaves out what the server took of a chunk before the connection broke.
    async fn catch_up(&mut self, chunk: &mut Bytes) -> Result<(), CliError> {
        match self.client.uploaded(&self.upload).await {
            Ok(len) => {
                let taken = len.saturating_sub(self.sent).min(chunk.len() as u64);
                chunk.advance(usize::try_from(taken).unwrap_or(chunk.len()));
                self.sent += taken;
                Ok(())
            }
            Err(error) if is_passing(&error) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Ends it; the server keeps the blob only if this is its digest.
    pub(super) async fn finish(self, repository: &str, digest: &str) -> Result<(), CliError> {
        let mut failed = match self.client.finish_blob(&self.upload, digest).await {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        // A slow disk may take longer than an answer may, and the answer may be what got lost.
        for tries in 0..TRIES {
            if !is_passing(&failed) {
                break;
            }
            sleep(PAUSE * (1 << tries)).await;
            match self.client.blob_len(repository, digest).await {
                Ok(Some(_)) => return Ok(()),
                Ok(None) => {}
                Err(error) => failed = error,
            }
        }
        Err(failed.into())
    }

    /// Has the server forget it, which it does by itself later where it cannot be told.
    pub(super) async fn abandon(self) {
        let _ = self.client.abandon_blob(&self.upload).await;
    }
}

/// Whether the next try may go well.
fn is_passing(error: &ClientError) -> bool {
    match error {
        ClientError::Connect { source, .. } => source.kind() != std::io::ErrorKind::PermissionDenied,
        ClientError::Broken { .. } => true,
        // The request that broke off still has it, or it has more than was known.
        ClientError::Registry { code, .. } => code == "BLOB_UPLOAD_INVALID",
        _ => false,
    }
}

/// Whether the server knows nothing of the upload any more, as after its restart.
pub(super) fn is_lost(error: &CliError) -> bool {
    matches!(error, CliError::Client(ClientError::Registry { code, .. }) if code == "BLOB_UPLOAD_UNKNOWN")
}
