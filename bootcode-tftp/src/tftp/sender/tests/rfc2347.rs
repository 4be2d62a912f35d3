//! RFC 2347: options are acknowledged before the first block.

use super::*;

#[test]
fn options_are_acknowledged_with_block_zero_before_the_first_block() {
    let (mut script, sent) = Script::start(window(4, 1000), 2500);
    assert_eq!(sent, "OACK");
    assert_eq!(script.ack(1, MS), "", "only block 0 acknowledges options");
    assert_eq!(script.ack(0, MS), "1@0+1000 2@1000+1000 3@2000+500");
    assert_eq!(script.ack(3, MS), "Finished");
}

#[test]
fn a_lost_oack_is_sent_again() {
    let (mut script, _) = Script::start(window(4, 1000), 10);
    assert_eq!(script.timeout().0, "OACK");
    assert_eq!(script.ack(0, MS), "1@0+10");
}

#[test]
fn an_oack_that_comes_twice_is_acknowledged_twice_and_the_first_block_goes_once() {
    let (mut script, _) = Script::start(Options { blksize: Some(1000), ..NONE }, 2500);
    assert_eq!(script.ack(0, MS), "1@0+1000");
    assert_eq!(script.ack(0, MS), "");
    assert_eq!(script.ack(1, MS), "2@1000+1000");
}

#[test]
fn a_client_that_refuses_the_options_ends_it() {
    let (mut script, _) = Script::start(Options { blksize: Some(1000), ..NONE }, 2500);
    assert_eq!(script.packet(&Packet::Error { code: 8, message: b"" }, MS), "Aborted { code: Some(8) }");
}
