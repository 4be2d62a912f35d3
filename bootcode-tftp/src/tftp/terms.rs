//! What client and server agree on for one transfer.

use std::time::Duration;

use super::{Options, Request};
use crate::limits;

/// The terms of one transfer, from the request's options and our bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// The file's length in bytes.
    pub len: u64,
    /// Bytes of a block.
    pub blksize: u64,
    /// Blocks of a window.
    pub windowsize: u64,
    /// The longest time before something is sent again.
    pub rto_max: Duration,
    /// The options that were accepted; empty where the transfer starts with a block.
    pub accepted: Options,
}

impl Terms {
    /// Accepts what the client asked for, within RFC 2348, 2349 and 7440 and [`limits`]. A value outside of its RFC's range is as
    /// if the option were absent; one above our bound is answered with the bound.
    #[must_use]
    pub fn agree(request: &Request<'_>, len: u64) -> Self {
        let asked = request.options;
        let blksize = asked
            .blksize
            .filter(|blksize| blksize >= limits::BLKSIZE.start())
            .map(|blksize| blksize.min(*limits::BLKSIZE.end()));
        let block_bytes = blksize.unwrap_or(512);
        let windowsize =
            asked.windowsize.filter(|windowsize| (1..=65535).contains(windowsize)).map(|windowsize| {
                windowsize.min(limits::WINDOWSIZE).min((limits::WINDOW_BYTES / block_bytes).max(1))
            });
        let timeout = asked.timeout.filter(|seconds| (1..=255).contains(seconds));
        Self {
            len,
            blksize: block_bytes,
            windowsize: windowsize.unwrap_or(1),
            rto_max: timeout.map_or(limits::RTO_MAX, Duration::from_secs).min(limits::RTO_MAX),
            accepted: Options { blksize, timeout, tsize: asked.tsize.map(|_| len), windowsize },
        }
    }

    /// How many blocks the file has; the last one is shorter than the others, and empty where the length is their multiple.
    #[must_use]
    pub const fn blocks(&self) -> u64 {
        self.len / self.blksize + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tftp::Mode;

    fn agree(options: Options) -> Terms {
        Terms::agree(&Request { filename: b"x", mode: Some(Mode::Octet), options }, 1024)
    }

    #[test]
    fn values_out_of_range_are_as_if_absent_and_large_ones_are_bounded() {
        let none = Options::default();
        for (asked, blksize, windowsize, accepted) in [
            (none, 512, 1, none),
            (Options { blksize: Some(0), ..none }, 512, 1, none),
            (Options { blksize: Some(7), ..none }, 512, 1, none),
            (Options { blksize: Some(8), ..none }, 8, 1, Options { blksize: Some(8), ..none }),
            (Options { blksize: Some(65535), ..none }, 65464, 1, Options { blksize: Some(65464), ..none }),
            (Options { windowsize: Some(0), ..none }, 512, 1, none),
            (Options { windowsize: Some(65536), ..none }, 512, 1, none),
            (Options { windowsize: Some(65535), ..none }, 512, 64, Options { windowsize: Some(64), ..none }),
            (Options { tsize: Some(0), ..none }, 512, 1, Options { tsize: Some(1024), ..none }),
            (Options { timeout: Some(0), ..none }, 512, 1, none),
            (Options { timeout: Some(1), ..none }, 512, 1, Options { timeout: Some(1), ..none }),
            (
                Options { blksize: Some(65464), windowsize: Some(64), ..none },
                65464,
                4,
                Options { blksize: Some(65464), windowsize: Some(4), ..none },
            ),
        ] {
            let terms = agree(asked);
            assert_eq!(
                (terms.blksize, terms.windowsize, terms.accepted),
                (blksize, windowsize, accepted),
                "{asked:?}"
            );
        }
    }

    #[test]
    fn a_file_of_whole_blocks_ends_with_an_empty_one() {
        let terms = |len| Terms { len, ..agree(Options::default()) };
        for (len, blocks) in [(0, 1), (511, 1), (512, 2), (513, 2), (1024, 3)] {
            assert_eq!(terms(len).blocks(), blocks, "{len}");
        }
    }
}
