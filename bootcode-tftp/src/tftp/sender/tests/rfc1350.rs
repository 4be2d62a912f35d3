//! RFC 1350: lock-step, the end of a file, acknowledgements that come twice, errors.

use super::*;

#[test]
fn lock_step_without_options_is_rfc_1350() {
    let (mut script, sent) = Script::start(NONE, 1000);
    assert_eq!(sent, "1@0+512");
    assert_eq!(script.ack(1, MS), "2@512+488");
    assert_eq!(script.ack(2, MS), "Finished");
    assert_eq!(script.sender.poll_timeout(), None);
    assert_eq!(script.sender.resent(), 0);
}

#[test]
fn a_file_of_whole_blocks_ends_with_an_empty_block_and_an_empty_file_is_one() {
    let (mut script, _) = Script::start(NONE, 512);
    assert_eq!(script.ack(1, MS), "2@512+0");
    assert_eq!(script.ack(2, MS), "Finished");
    assert_eq!(Script::start(NONE, 0).1, "1@0+0");
}

#[test]
fn a_duplicate_acknowledgement_in_lock_step_sends_nothing() {
    let (mut script, _) = Script::start(NONE, 5000);
    assert_eq!(script.ack(1, MS), "2@512+512");
    for _ in 0..100 {
        assert_eq!(script.ack(1, MS), "");
    }
    assert_eq!(script.ack(2, MS), "3@1024+512");
}

#[test]
fn wild_acknowledgements_send_nothing() {
    let (mut script, _) = Script::start(NONE, 5000);
    script.ack(1, MS);
    for block in [0, 3, 4, 9, 1000, 32768, 65535] {
        assert_eq!(script.ack(block, MS), "", "{block}");
    }
    assert_eq!(script.packet(&Packet::Data { block: 2, payload: b"x" }, MS), "");
    assert_eq!(script.packet(&Packet::Oack(NONE), MS), "");
    assert_eq!(script.ack(2, MS), "3@1024+512");
}

#[test]
fn the_first_wait_without_a_measured_round_trip_is_half_a_second_and_a_measured_one_shortens_it() {
    let (mut script, _) = Script::start(NONE, 100_000);
    let (sent, waited) = script.timeout();
    assert_eq!(sent, "1@0+512");
    assert!(waited >= 500 * MS && waited < 570 * MS, "{waited:?}");
    script.ack(1, MS);
    for block in 2..10 {
        script.ack(block, 40 * MS);
    }
    let (_, waited) = script.timeout();
    assert!(waited > 50 * MS && waited < 150 * MS, "{waited:?}");
}

#[test]
fn an_error_of_the_client_ends_at_once() {
    let (mut script, _) = Script::start(NONE, 5000);
    let error = Packet::Error { code: 3, message: b"disk full" };
    assert_eq!(script.packet(&error, MS), "Aborted { code: Some(3) }");
    assert_eq!(script.ack(1, MS), "Aborted { code: Some(3) }");
    assert_eq!(script.sender.poll_timeout(), None);
}

#[test]
fn a_closed_port_ends_at_once() {
    let (mut script, _) = Script::start(NONE, 5000);
    script.sender.handle_unreachable();
    assert_eq!(script.sender.outcome(), Some(Outcome::Aborted { code: None }));
}
