//! What is wrong at the start: one line that says what and how to mend it, the exit code of sysexits.h, nothing lost.

#![allow(clippy::unwrap_used)]

mod common;

use std::{fs, process::Command};

use common::{MACHINE, NETWORK, Place};

#[test]
fn faults_of_the_configuration_have_their_place_and_a_remedy() {
    for (what, config, arguments, code, parts) in [
        (
            "an unknown key",
            "interfaces: [lo]\nfile: [x]\n",
            &[][..],
            78,
            &["bootcode.yaml:2:1", "did you mean `files`"][..],
        ),
        (
            "the same with an override",
            "interfaces: [lo]\nfile: [x]\n",
            &["--set", "store=memory"],
            78,
            &["bootcode.yaml:2:1"],
        ),
        ("no interface", "store: memory\n", &[], 78, &["`interfaces` is missing"]),
        ("an interface twice", "interfaces: [lo, lo]\n", &[], 78, &["`lo` is there twice"]),
        (
            "an interface that is not there",
            "interfaces: [nope7]\n",
            &[],
            78,
            &["no network interface `nope7`", "lo"],
        ),
        ("no YAML", "interfaces: [\n", &[], 78, &["bootcode.yaml:", "no valid YAML"]),
        (
            "no address",
            "interfaces: [lo]\nhttp: {listen: 99}\n",
            &[],
            78,
            &["bootcode.yaml:2:16", "http.listen"],
        ),
        (
            "an override of nothing",
            "interfaces: [lo]\n",
            &["--set", "htp.listen=1"],
            64,
            &["`htp.listen`", "http.listen"],
        ),
        (
            "an override with no address",
            "interfaces: [lo]\n",
            &["--set", "http.listen=99999"],
            78,
            &["--set", "http.listen", "99999"],
        ),
        ("no such directory", "interfaces: [lo]\nosie: ./nope\n", &[], 78, &["osie: ", "nope", "make it"]),
        (
            "no such directory with the default's name",
            "interfaces: [lo]\nfiles: [./typo/files]\n",
            &[],
            78,
            &["typo/files"],
        ),
        ("no such images", "interfaces: [lo]\nimages: ./nope\n", &[], 78, &["images: ", "nope"]),
        (
            "no such documents",
            "interfaces: [lo]\nsources: [{dir: ./nope}]\n",
            &["--check"],
            66,
            &["sources: ", "nope"],
        ),
        (
            "no turn for anybody",
            "interfaces: [lo]\nhttp: {largeDownloads: {parallel: 0}}\n",
            &["--check"],
            78,
            &["http.largeDownloads.parallel", "as in 64"],
        ),
        (
            "a time that nobody can keep",
            "interfaces: [lo]\nhttp: {connections: {headSeconds: 0}}\n",
            &["--check"],
            78,
            &["http.connections.headSeconds", "as in 30"],
        ),
        (
            "what is not built",
            "interfaces: [lo]\nsyslog: {listen: '0.0.0.0:514'}\n",
            &[],
            78,
            &["syslog.listen", "not built"],
        ),
    ] {
        let place = Place::new(&format!("{config}\ndata_dir: data\napi: {{socket: api.sock}}\n"));
        place.run(arguments).is(what, code, parts);
        assert!(!place.path("data/token.key").exists() || code == 78, "{what}: nothing was made");
    }
}

#[test]
fn what_cannot_be_read_or_understood_ends_by_sysexits() {
    let place = Place::new("interfaces: [lo]\n");
    place.run(&["--config", "nope.yaml"]).is("no configuration", 66, &["nope.yaml", "--config"]);
    let ended = place.run_with(&["--check"], &[("BOOTCODE_LOG", "a=b=c")]);
    ended.is("a filter that is none", 64, &["BOOTCODE_LOG"]);
    let ended = place.run_with(&["--check"], &[("BOOTCODE_STORE", "postgres")]);
    ended.is("a variable with a wrong value", 78, &["store", "postgres"]);
    for arguments in [&["--bogus"][..], &["--config"], &["--set", "nothing"]] {
        assert_eq!(place.run(arguments).code, Some(64), "{arguments:?}");
    }
    place.write("bootcode.yaml", b"interfaces: [\xff]\n");
    place.run(&[]).is("no text", 78, &["bootcode.yaml:1:14", "UTF-8"]);
}

#[test]
fn check_and_print_config_say_what_they_found() {
    let place = Place::new("interfaces: [lo]\nsources: [{dir: a}, {dir: b}]\n");
    fs::create_dir(place.path("a")).unwrap();
    fs::create_dir(place.path("b")).unwrap();
    place.write("a/network.yaml", NETWORK);
    place.write("b/machine.yaml", MACHINE);
    let ended = place.run(&["--check"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stdout.contains("2 documents are valid"), "b refers to what a declares: {}", ended.stdout);
    let ended = place.run_with(
        &["--print-config", "--set", "tftp.listen=127.0.0.1:6969"],
        &[
            ("BOOTCODE_HTTP_LISTEN", "127.0.0.1:80"),
            ("BOOTCODE_TFTP_LISTEN", "127.0.0.1:1"),
            ("BOOTCODE_HTP", "1"),
        ],
    );
    assert!(ended.stdout.contains("listen: 127.0.0.1:80"), "{}", ended.stdout);
    assert!(ended.stdout.contains("listen: 127.0.0.1:6969"), "--set wins: {}", ended.stdout);
    assert!(
        ended.stdout.contains(&place.path("a").display().to_string()),
        "paths are resolved: {}",
        ended.stdout
    );
    assert!(ended.stderr.contains("BOOTCODE_HTP "), "what sets nothing is told: {}", ended.stderr);
}

#[test]
fn every_fault_of_the_documents_is_told_at_once() {
    let place = Place::new("interfaces: [lo]\nsources: [{dir: machines}]\n");
    fs::create_dir(place.path("machines")).unwrap();
    place.write("machines/a.yaml", NETWORK.replace("cidr", "cdir"));
    place.write("machines/b.yaml", MACHINE.replace("52:54:00:00:00:01", "52:54:00:00:00"));
    place.write("machines/c.yaml", b"a\n\xff");
    let ended = place.run(&["--check"]);
    assert_eq!(ended.code, Some(65));
    assert!(ended.stderr.contains("c.yaml:2:1"), "{}", ended.stderr);
    fs::remove_file(place.path("machines/c.yaml")).unwrap();
    let ended = place.run(&["--check"]);
    for expected in ["machines/a.yaml:4:8: spec: unknown key `cdir`", "machines/b.yaml:5:"] {
        assert!(ended.said.contains(expected), "{expected}: {}", ended.said);
    }
}

#[test]
fn a_data_directory_that_cannot_be_used_is_left_as_it_is() {
    let config = "interfaces: [lo]\ndata_dir: data\napi: {socket: api.sock}\n";
    for (what, file, bytes, code, parts) in [
        (
            "no database",
            "bootcode.sqlite",
            &[7_u8; 8192][..],
            74,
            &["bootcode.sqlite", "is damaged", "restore a backup"][..],
        ),
        ("no key", "token.key", b"short", 74, &["token.key", "32 bytes", "remove it"]),
        ("no number", "epoch", b"x", 74, &["epoch", "write 0 into it"]),
    ] {
        let place = Place::new(config);
        fs::create_dir(place.path("data")).unwrap();
        place.write(&format!("data/{file}"), bytes);
        place.run(&[]).is(what, code, parts);
        assert_eq!(fs::read(place.path("data").join(file)).unwrap(), bytes, "{what}");
    }
    let place = Place::new(config);
    place.write("data", "a file");
    place.run(&[]).is("a file", 74, &["data_dir: ", "cannot be made"]);
    assert_eq!(fs::read(place.path("data")).unwrap(), b"a file");
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let place = Place::new("interfaces: [lo]\n");
    let status = Command::new("sh")
        .arg("-c")
        .arg(format!(
            "set -o pipefail 2>/dev/null; {} --print-config | true",
            env!("CARGO_BIN_EXE_bootcode-server")
        ))
        .current_dir(place.path(""))
        .output()
        .unwrap();
    assert!(!String::from_utf8_lossy(&status.stderr).contains("panicked"), "{status:?}");
}
