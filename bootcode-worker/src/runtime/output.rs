//! A container's output on its way to the log.

use bytes::BytesMut;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    sync::mpsc,
};

use crate::limits::LOG_READ_BYTES;

/// Sends all of `reader` to the log. Ends with the reader, or when nobody takes the log any more.
pub(super) async fn pump(mut reader: impl AsyncRead + Unpin, log: mpsc::Sender<bytes::Bytes>) {
    let mut buffer = BytesMut::new();
    loop {
        buffer.reserve(LOG_READ_BYTES);
        match reader.read_buf(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {
                if log.send(buffer.split().freeze()).await.is_err() {
                    return;
                }
            }
        }
    }
}
