//! One request for a file, counted once, when it ended.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bootcode_core::timeline::Reason;
use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

use super::{
    body::FileBody,
    downloads::Downloads,
    large::Large,
    metrics::{End, Kind},
};

/// A request whose answer is still to come.
pub(crate) struct Download {
    downloads: Downloads,
    kind: Kind,
}

impl Download {
    pub(super) const fn new(downloads: Downloads, kind: Kind) -> Self {
        Self { downloads, kind }
    }

    /// It was answered without a file's bytes.
    pub(crate) fn ended(self, end: End) {
        self.downloads.metrics().ended(self.kind, end);
    }

    /// Sends the file; `end` is what it comes to where all of it goes.
    pub(super) fn send(self, file: FileBody, end: End) -> DownloadBody {
        self.downloads.metrics().begun();
        let large = self.downloads.is_large(file.len()).then(|| Large::new(self.downloads.clone()));
        DownloadBody { file, large, download: self, end, failed: false }
    }
}

/// A file's bytes on their way. Dropped before its end, its client is gone.
pub(super) struct DownloadBody {
    file: FileBody,
    large: Option<Large>,
    download: Download,
    end: End,
    failed: bool,
}

impl Body for DownloadBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let Self { file, large, download, failed, .. } = &mut *self;
        if let Some(large) = large.as_mut().filter(|_| !file.is_end_stream()) {
            file.at_most(ready!(large.poll_allowance(file.len(), context)));
        }
        let frame = ready!(Pin::new(file).poll_frame(context));
        match &frame {
            Some(Ok(frame)) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len) as u64;
                download.downloads.metrics().sent(download.kind, bytes);
                if let Some(large) = large {
                    large.sent(bytes);
                }
            }
            Some(Err(_)) => *failed = true,
            None => {}
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.file.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.file.size_hint()
    }
}

impl Drop for DownloadBody {
    fn drop(&mut self) {
        let failed = self.failed || self.file.failed_in_lane();
        let end = match (failed, self.file.is_end_stream()) {
            (true, _) => End::Aborted(Reason::ReadFailed),
            (false, true) => self.end,
            (false, false) => End::Aborted(Reason::ClientAborted),
        };
        self.download.downloads.metrics().done(self.download.kind, end);
    }
}
