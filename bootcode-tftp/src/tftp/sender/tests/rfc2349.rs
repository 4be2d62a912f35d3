//! RFC 2349: the client's timeout, and the size of the file.

use super::*;

#[test]
fn the_clients_timeout_bounds_the_wait() {
    let (mut script, _) = Script::start(Options { timeout: Some(1), ..NONE }, 100);
    for _ in 0..5 {
        assert!(script.timeout().1 <= 1125 * MS);
    }
}

#[test]
fn asking_for_the_size_and_leaving_is_a_probe_but_not_after_the_first_acknowledgement() {
    let size = Options { tsize: Some(0), ..window(4, 1468) };
    let abort = Packet::Error { code: 8, message: b"User aborted" };
    let (mut script, _) = Script::start(size, 5000);
    assert_eq!(script.packet(&abort, MS), "Probed");
    let (mut script, _) = Script::start(size, 5000);
    script.ack(0, MS);
    assert_eq!(script.packet(&abort, MS), "Aborted { code: Some(8) }");
    let (mut script, _) = Script::start(window(4, 1468), 5000);
    assert_eq!(script.packet(&abort, MS), "Aborted { code: Some(8) }", "the size was not asked for");
}

#[test]
fn a_timeout_out_of_its_range_is_not_acknowledged() {
    for timeout in [0, 256] {
        assert_eq!(Script::start(Options { timeout: Some(timeout), ..NONE }, 100).1, "1@0+100");
    }
}
