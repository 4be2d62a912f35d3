use std::time::{Duration, Instant};

use bootcode_tftp::{
    limits,
    tftp::{Mode, Options, Outcome, Packet, Request, Sender, Terms, Transmit},
};

/// Length, block size, window size, timeout and flags of the transfer, before the operations.
const HEAD_BYTES: usize = 10;
/// What happened, a number with it, and how many milliseconds after what came before.
const OPERATION_BYTES: usize = 4;

/// Whatever a client does, offsets stay in the file, a window at most goes at once, and the transfer ends.
pub fn tftp_session(bytes: &[u8]) {
    let Some((head, operations)) = bytes.split_at_checked(HEAD_BYTES) else { return };
    let number = |at: usize| u64::from(u16::from_le_bytes([head[at], head[at + 1]]));
    let has = |bit: u8, value: u64| (head[9] & bit != 0).then_some(value);
    let options = Options {
        blksize: has(1, number(4)),
        windowsize: has(2, number(6)),
        timeout: has(4, u64::from(head[8])),
        tsize: has(8, 0),
    };
    let len = number(0) | number(2) << 16;
    let request = Request { filename: b"f", mode: Some(Mode::Octet), options };
    let terms = Terms::agree(&request, len);
    let mut now = Instant::now();
    let mut sender = Sender::new(terms, number(0), now);
    let mut causes = 1;
    causes += send(&mut sender, len, now);
    for operation in operations.chunks_exact(OPERATION_BYTES) {
        now += Duration::from_millis(u64::from(operation[3]) * 8);
        let block = u16::from_le_bytes([operation[1], operation[2]]);
        let near = u16::from(operation[1] % 70);
        match operation[0] % 6 {
            0 => sender.handle(&Packet::Ack { block }, now),
            1 => sender.handle(&Packet::Ack { block: near }, now),
            2 => sender.handle_timeout(now),
            3 => sender.handle(&Packet::Data { block, payload: &[] }, now),
            4 => sender.handle(&Packet::Oack(options), now),
            _ if operation[1] > 250 => sender.handle(&Packet::Error { code: near, message: b"" }, now),
            _ => {}
        }
        causes += 1;
        send(&mut sender, len, now);
    }
    let silent_from = now;
    while sender.outcome().is_none() {
        now = sender.poll_timeout().expect("an open transfer has a timer").max(now);
        assert!(now - silent_from <= limits::SILENCE + limits::RTO_MAX * 2, "silence does not end it");
        sender.handle_timeout(now);
        causes += 1;
        send(&mut sender, len, now);
    }
    assert!(sender.poll_timeout().is_none() && sender.poll_transmit(now).is_none(), "it has ended");
    assert!(
        sender.resent() <= causes * terms.windowsize,
        "a window goes again once for each thing that happens"
    );
    assert!(sender.delivered() <= len);
    if sender.outcome() == Some(Outcome::Finished) {
        assert_eq!(sender.delivered(), len);
    }
}

/// Takes what is due; returns how many packets those were.
fn send(sender: &mut Sender, len: u64, now: Instant) -> u64 {
    let (blksize, windowsize) = (sender.terms().blksize, sender.terms().windowsize);
    assert!((8..=65464).contains(&blksize) && (1..=limits::WINDOWSIZE).contains(&windowsize));
    assert!(blksize * windowsize <= limits::WINDOW_BYTES.max(blksize), "what a transfer keeps in memory");
    let mut sent = 0;
    while let Some(transmit) = sender.poll_transmit(now) {
        sent += 1;
        assert!(sent <= windowsize, "more than a window at once");
        if let Transmit::Data { offset, len: block, .. } = transmit {
            assert!(offset % blksize == 0 && block as u64 <= blksize && offset + block as u64 <= len);
        }
    }
    sent
}
