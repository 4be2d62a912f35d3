//! RFC 2348: blocks of the size that was agreed on.

use super::*;

#[test]
fn the_block_number_wraps_to_zero_and_offsets_go_on() {
    let (mut script, _) = Script::start(window(1, 8), 8 * 70_000);
    script.ack(0, MS);
    for block in 1..=65_534u16 {
        script.ack(block, MS);
    }
    assert_eq!(script.ack(65_535, MS), "0@524280+8");
    assert_eq!(script.ack(0, MS), "1@524288+8");
    assert_eq!(script.sender.resent(), 0);
}

#[test]
fn blocks_have_the_agreed_size_and_the_last_one_is_shorter() {
    for (blksize, first, second) in
        [(8, "1@0+8", "2@8+8"), (1468, "1@0+1468", "2@1468+1468"), (65464, "1@0+65464", "2@65464+34536")]
    {
        let (mut script, sent) = Script::start(Options { blksize: Some(blksize), ..NONE }, 100_000);
        assert_eq!(
            (sent.as_str(), script.ack(0, MS).as_str(), script.ack(1, MS).as_str()),
            ("OACK", first, second)
        );
    }
}

#[test]
fn a_size_below_eight_is_as_if_it_were_not_asked_for() {
    for blksize in [0, 7] {
        assert_eq!(Script::start(Options { blksize: Some(blksize), ..NONE }, 1000).1, "1@0+512");
    }
}
