//! RFC 7440: windows, and gaps in them.

use super::*;

#[test]
fn a_gap_sends_everything_behind_it_again() {
    let (mut script, _) = Script::start(window(4, 10), 1000);
    assert_eq!(script.ack(0, MS), "1@0+10 2@10+10 3@20+10 4@30+10");
    assert_eq!(script.ack(2, MS), "3@20+10 4@30+10 5@40+10 6@50+10");
    assert_eq!(script.sender.resent(), 2);
    assert_eq!(script.ack(6, MS), "7@60+10 8@70+10 9@80+10 10@90+10");
}

#[test]
fn a_gap_at_the_windows_first_block_sends_the_window_again_once() {
    let (mut script, _) = Script::start(window(2, 10), 1000);
    script.ack(0, 5 * MS);
    assert_eq!(script.ack(2, 5 * MS), "3@20+10 4@30+10");
    assert_eq!(script.ack(2, MS), "", "too early to be an answer to block 3");
    assert_eq!(script.ack(2, 5 * MS), "3@20+10 4@30+10");
    for _ in 0..100 {
        assert_eq!(script.ack(2, 5 * MS), "", "once a window: the timer is the rest");
    }
    assert_eq!(script.timeout().0, "3@20+10 4@30+10");
}

/// A client answers both copies of a window that went twice. Were the second answer believed, the next window would go twice, and so on to the
/// end of the file: the Sorcerer's Apprentice by windows.
#[test]
fn the_answer_to_a_copy_sends_no_copy_of_the_next_window() {
    let (mut script, _) = Script::start(window(2, 10), 1000);
    assert_eq!(script.ack(0, 5 * MS), "1@0+10 2@10+10");
    assert_eq!(script.timeout().0, "1@0+10 2@10+10", "the client was slow, nothing was lost");
    assert_eq!(script.ack(2, MS), "3@20+10 4@30+10");
    assert_eq!(script.ack(2, 20 * MS), "", "the answer to the second copy");
    assert_eq!(script.ack(4, MS), "5@40+10 6@50+10");
    assert_eq!(script.sender.resent(), 2);
    // It was for that window alone: a first block that is missing later is sent again as ever.
    assert_eq!(script.ack(4, 20 * MS), "5@40+10 6@50+10");
    // After which there may be another such answer.
    assert_eq!(script.ack(6, MS), "7@60+10 8@70+10");
    assert_eq!(script.ack(6, 20 * MS), "");
    assert_eq!(script.timeout().0, "7@60+10 8@70+10", "and where it was none, the timer is the rest");
}

/// Some clients tell of a gap with each block behind it.
#[test]
fn a_gap_that_is_told_with_every_block_behind_it_is_filled_once() {
    let (mut script, _) = Script::start(window(8, 10), 1000);
    script.ack(0, 5 * MS);
    let behind = script.ack(2, 5 * MS);
    assert!(behind.starts_with("3@20+10 4@30+10 ") && behind.ends_with(" 10@90+10"), "{behind}");
    for _ in 0..5 {
        assert_eq!(script.ack(2, 6 * MS), "");
    }
    assert!(script.ack(10, MS).starts_with("11@100+10 "));
    assert_eq!(script.sender.resent(), 6);
}

#[test]
fn silence_sends_the_window_again_with_growing_waits_and_ends() {
    let (mut script, _) = Script::start(window(2, 10), 1000);
    assert_eq!(script.ack(0, 4 * MS), "1@0+10 2@10+10");
    let started = script.now;
    let mut waits = Vec::new();
    loop {
        let (sent, waited) = script.timeout();
        waits.push(waited);
        if sent != "1@0+10 2@10+10" {
            assert_eq!(sent, "TimedOut");
            break;
        }
    }
    assert!(waits[0] >= 50 * MS && waits[0] < 60 * MS, "{waits:?}");
    assert!(waits.windows(2).take(5).all(|pair| pair[1] > pair[0] * 3 / 2), "{waits:?}");
    assert!(waits.iter().all(|wait| *wait <= Duration::from_millis(4500)), "{waits:?}");
    assert!(script.now - started >= Duration::from_secs(30));
    assert!(waits.len() < 20, "{waits:?}");
}

#[test]
fn a_window_across_the_wrap_is_acknowledged_inside_of_it() {
    let (mut script, _) = Script::start(window(4, 8), 8 * 70_000);
    let mut sent = script.ack(0, MS);
    for end in (4..=65_532u16).step_by(4) {
        sent = script.ack(end, MS);
    }
    assert_eq!(sent, "65533@524256+8 65534@524264+8 65535@524272+8 0@524280+8");
    assert_eq!(script.ack(65_534, MS), "65535@524272+8 0@524280+8 1@524288+8 2@524296+8");
    assert_eq!(script.ack(0, MS), "1@524288+8 2@524296+8 3@524304+8 4@524312+8");
}
