//! One TFTP client, as a value: datagrams go in, what to send comes out. RFC 1350, 2347, 2348 and 7440, from the side that receives.

/// What a client asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) file: &'a str,
    /// What the file holds.
    pub(crate) content: &'a [u8],
    pub(crate) blksize: usize,
    /// 1 asks for no window, as clients of before RFC 7440.
    pub(crate) windowsize: u64,
}

impl Asked<'_> {
    /// The request.
    pub(crate) fn request(&self) -> Vec<u8> {
        let mut request = vec![0, 1];
        let mut text = |text: &str| {
            request.extend_from_slice(text.as_bytes());
            request.push(0);
        };
        text(self.file);
        text("octet");
        text("blksize");
        text(&self.blksize.to_string());
        if self.windowsize > 1 {
            text("windowsize");
            text(&self.windowsize.to_string());
        }
        request
    }
}

/// What a client does about a datagram.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Nothing,
    Acknowledge(u16),
    /// The last block came: the acknowledgement of it, and the end.
    Finish(u16),
    Fail(String),
}

/// Where a transfer is.
#[derive(Debug, Default)]
pub(crate) struct Client {
    /// Blocks that came in their order; blocks count from 1.
    taken: u64,
    /// Blocks of this window.
    in_window: u64,
    windowsize: u64,
    blksize: usize,
    /// A gap was told and is not filled yet.
    gap: bool,
    pub(crate) blocks: u64,
    /// Blocks that came although they were here already.
    pub(crate) again: u64,
}

impl Client {
    /// Before anything came.
    pub(crate) fn new() -> Self {
        Self { windowsize: 1, blksize: 512, ..Self::default() }
    }

    /// Takes a datagram of the server.
    pub(crate) fn take(&mut self, asked: &Asked<'_>, datagram: &[u8]) -> Answer {
        match datagram {
            [0, 6, options @ ..] if self.taken == 0 => self.agree(options),
            [0, 3, high, low, payload @ ..] => self.block(asked, u16::from_be_bytes([*high, *low]), payload),
            [0, 5, _, code, message @ ..] => {
                let message = String::from_utf8_lossy(message);
                Answer::Fail(format!("error {code}: {}", message.trim_end_matches('\0')))
            }
            [0, 6, ..] => Answer::Nothing,
            _ => Answer::Fail(format!("no packet of a server: {datagram:?}")),
        }
    }

    /// What to say again after a silence; `None` where nothing was heard yet and the request is due.
    pub(crate) fn repeat(&self) -> Option<u16> {
        (self.blocks > 0 || self.windowsize > 1 || self.blksize != 512).then(|| wire(self.taken))
    }

    fn agree(&mut self, options: &[u8]) -> Answer {
        let words: Vec<_> = options.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
        for pair in words.chunks_exact(2) {
            match (pair[0].to_ascii_lowercase().as_str(), pair[1].parse()) {
                ("blksize", Ok(blksize)) => self.blksize = blksize,
                ("windowsize", Ok(windowsize)) => self.windowsize = u64::try_from(windowsize).unwrap_or(1),
                _ => return Answer::Fail(format!("an OACK of {words:?}")),
            }
        }
        Answer::Acknowledge(0)
    }

    fn block(&mut self, asked: &Asked<'_>, number: u16, payload: &[u8]) -> Answer {
        self.blocks += 1;
        let ahead = number.wrapping_sub(wire(self.taken));
        if ahead != 1 {
            // Behind: it is here already. In lock-step its acknowledgement was lost; of a window, the last block says so.
            let behind = ahead == 0 || ahead > u16::MAX / 2;
            self.again += u64::from(behind);
            let lost = if behind { ahead == 0 } else { !self.gap };
            self.gap |= !behind;
            self.in_window = 0;
            return if lost { Answer::Acknowledge(wire(self.taken)) } else { Answer::Nothing };
        }
        let offset = usize::try_from(self.taken).unwrap_or(usize::MAX).saturating_mul(self.blksize);
        let expected = asked.content.get(offset..).unwrap_or_default();
        if payload != &expected[..expected.len().min(self.blksize)] {
            return Answer::Fail(format!("block {} is not what the file holds there", self.taken + 1));
        }
        self.taken += 1;
        self.in_window += 1;
        self.gap = false;
        if payload.len() < self.blksize {
            return Answer::Finish(wire(self.taken));
        }
        if self.in_window == self.windowsize {
            self.in_window = 0;
            return Answer::Acknowledge(wire(self.taken));
        }
        Answer::Nothing
    }
}

/// A block's number on the wire.
const fn wire(block: u64) -> u16 {
    (block & 0xffff) as u16
}
