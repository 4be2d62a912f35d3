//! The command line of `bootcode-worker`. That these tests are here has the program built with all others, for tests that run a machine.

#![allow(clippy::unwrap_used)] // outside of #[test] functions; a test may fail
use std::process::{Command, Output};

fn worker(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bootcode-worker")).args(args).output().unwrap()
}

#[test]
fn who_it_is_must_be_said_in_one_way() {
    for (args, named) in [
        (&["--server", "http://192.168.99.1:7080"][..], "--inventory-token-file"),
        (&["--server", "http://192.168.99.1:7080", "--id", "m1"], "--token-file"),
        (&["--id", "m1", "--token-file", "t"], "--server"),
        (&["--inventory-token-file", "t"], "--server"),
        (
            &["--server", "http://h", "--id", "m1", "--token-file", "t", "--inventory-token-file", "t"],
            "cannot be used",
        ),
    ] {
        let output = worker(args);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(64), "{args:?}: {said}");
        assert!(said.contains(named), "{args:?}: {said}");
    }
}

#[test]
fn a_token_that_is_not_there_is_named() {
    for who in [&["--id", "m1", "--token-file", "/missing"][..], &["--inventory-token-file", "/missing"]] {
        let output = worker(&[&["--server", "http://192.168.99.1:7080"], who].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(66), "{who:?}: {said}");
        assert!(said.contains("/missing"), "{who:?}: {said}");
    }
}

#[test]
fn help_is_no_error() {
    let output = worker(&["--help"]);
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stdout).contains("bootcode.inventory="));
}
