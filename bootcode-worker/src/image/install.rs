//! The whole stream: network to hash to decompression to files.

use std::{io, path::PathBuf};

use async_compression::tokio::bufread::{GzipDecoder, ZstdDecoder};
use bytes::Bytes;
use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt as _, AsyncRead, BufReader},
    sync::mpsc,
};
use tokio_util::io::{StreamReader, SyncIoBridge};

use super::{
    FetchPolicy, Fetched, ImageError, ImageSource, Progress, UnpackError, Unpacked, fetch, limits, unpack_tar,
};

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Installed {
    /// What was fetched.
    pub fetched: Fetched,
    /// What stands in the directory now.
    pub unpacked: Unpacked,
}

/// Fetches a tar (plain, zstd or gzip) and unpacks it into `target`, an existing and empty directory. Dropping the
/// future ends the fetch; files that were written stay.
///
/// # Errors
/// The image did not come whole and right, or could not be written. What is in `target` is then worthless.
pub async fn install(
    source: &ImageSource,
    policy: &FetchPolicy,
    target: PathBuf,
    progress: Progress,
) -> Result<Installed, ImageError> {
    let (sink, chunks) = mpsc::channel(limits::CHUNKS_QUEUED);
    let fetching = fetch(source, policy, sink, &progress);
    let writing = async {
        let reader = decompressed(chunks).await.map_err(|source| UnpackError::Read { entries: 0, source })?;
        let task = tokio::task::spawn_blocking(move || {
            let mut reader = SyncIoBridge::new(reader);
            let unpacked = unpack_tar(&mut reader, &target)?;
            // The padding after a tar's end belongs to the digest too.
            io::copy(&mut reader, &mut io::sink())
                .map_err(|source| UnpackError::Read { entries: unpacked.entries, source })?;
            Ok::<_, UnpackError>(unpacked)
        });
        Ok::<_, ImageError>(task.await.map_err(|source| ImageError::CutOff { source })??)
    };
    match tokio::join!(fetching, writing) {
        (Ok(fetched), Ok(unpacked)) => Ok(Installed { fetched, unpacked }),
        // A reader that ended is what stopped the fetch; any other fetch fault is what spoiled the tar.
        (Ok(_) | Err(super::FetchError::Stopped { .. }), Err(unpack)) => Err(unpack),
        (Err(fault), _) => Err(fault.into()),
    }
}

pub(crate) type BoxedRead = Box<dyn AsyncRead + Send + Unpin>;

/// The plain tar, whatever compresses it: told by the first bytes, not by a file name.
pub(crate) async fn decompressed(chunks: mpsc::Receiver<Bytes>) -> io::Result<BoxedRead> {
    let stream = futures_util::stream::unfold(chunks, |mut chunks| async {
        chunks.recv().await.map(|chunk| (Ok::<_, io::Error>(chunk), chunks))
    });
    let mut reader = BufReader::with_capacity(limits::CHUNK_BYTES, StreamReader::new(Box::pin(stream)));
    let magic = reader.fill_buf().await?;
    let (zstd, gzip) = (magic.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]), magic.starts_with(&[0x1f, 0x8b]));
    Ok(if zstd {
        zstd_decoder(reader)
    } else if gzip {
        let mut decoder = GzipDecoder::new(reader);
        decoder.multiple_members(true);
        Box::new(decoder)
    } else {
        Box::new(reader)
    })
}

fn zstd_decoder(reader: impl AsyncBufRead + Send + Unpin + 'static) -> BoxedRead {
    let mut decoder = ZstdDecoder::new(reader);
    // By default it stops silently after the first frame; parallel compressors write many.
    decoder.multiple_members(true);
    Box::new(decoder)
}
