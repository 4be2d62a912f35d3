//! The data directory on bad days: backups and what they are restored to, damage, a disk without room.
//!
//! What needs a server that runs is run where `BOOTCODE_REAL_PEERS` is 1, as root.

#![allow(clippy::unwrap_used)]

mod common;

use std::{
    fs,
    io::Write as _,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    process::Command,
};

use common::{MACHINE, NETWORK, Place, TEMPLATE, WORKFLOW, machines, on_a_wire, request};
use nix::sys::signal::Signal;

/// Puts a backup in the store's place, as the help of `backup` says.
fn restore(place: &Place, copy: &str) {
    fs::copy(place.path(copy), place.path("data/bootcode.sqlite")).unwrap();
    for end in ["-wal", "-shm"] {
        let _ = fs::remove_file(place.path(&format!("data/bootcode.sqlite{end}")));
    }
}

#[test]
fn a_backup_is_taken_while_the_server_runs_and_what_is_restored_is_held() {
    on_a_wire(|| {
        let place = Place::complete("");
        let server = place.serve(&[]);
        server.apply(&[NETWORK, MACHINE, TEMPLATE, WORKFLOW].join("---\n")).unwrap();
        let backed_up = server.documents();
        assert_eq!(place.run(&["backup", "copy.sqlite"]).code, Some(0));
        assert_eq!(fs::metadata(place.path("copy.sqlite")).unwrap().permissions().mode() & 0o777, 0o600);
        let copy = fs::read(place.path("copy.sqlite")).unwrap();
        place.run(&["backup", "copy.sqlite"]).is(
            "a file that is there",
            73,
            &["copy.sqlite", "name another file"],
        );
        assert_eq!(fs::read(place.path("copy.sqlite")).unwrap(), copy, "a backup replaces nothing");
        place.run(&["backup", "none/copy"]).is("no such directory", 73, &["none/copy", "must exist"]);
        let left: Vec<_> =
            fs::read_dir(place.path("")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert!(!left.iter().any(|name| name.to_string_lossy().contains("copy.sqlite.")), "{left:?}");
        let ended = place.run(&["--check"]);
        assert_eq!(ended.code, Some(0), "the store is checked beside the server: {}", ended.stderr);

        let second = NETWORK.replace("lab", "late").replace("99.0", "98.0");
        server.apply(&second).unwrap();
        assert_eq!(server.end(Signal::SIGTERM), Some(0));
        let held: Vec<String> =
            backed_up.iter().map(|name| name.replace("install Pending", "install Held")).collect();
        assert_ne!(held, backed_up);

        // In the same data directory, without a start between the backup and now.
        restore(&place, "copy.sqlite");
        for start in 1..=2 {
            let server = place.serve(&[]);
            assert_eq!(server.documents(), held, "start {start}");
            assert_eq!(server.end(Signal::SIGKILL), None);
        }
        // In a new one, as after the disk was lost.
        fs::remove_dir_all(place.path("data")).unwrap();
        fs::create_dir(place.path("data")).unwrap();
        restore(&place, "copy.sqlite");
        assert_eq!(place.serve(&[]).documents(), held);
        // A backup of the restored one, without any server.
        assert_eq!(place.run(&["backup", "again.sqlite"]).code, Some(0));
        place.run(&["backup", "none.sqlite", "--set", "data_dir=none"]).is(
            "no store",
            74,
            &["none/bootcode.sqlite"],
        );
        assert!(!place.path("none.sqlite").exists(), "what failed leaves nothing");
        place.run(&["backup", "none.sqlite", "--set", "store=memory"]).is(
            "in memory",
            78,
            &["keeps nothing"],
        );
    });
}

#[test]
fn a_plain_copy_that_is_put_back_is_held_too() {
    on_a_wire(|| {
        let place = Place::complete("");
        let server = place.serve(&[]);
        server.apply(&[NETWORK, MACHINE, TEMPLATE, WORKFLOW].join("---\n")).unwrap();
        let held: Vec<String> =
            server.documents().iter().map(|name| name.replace("install Pending", "install Held")).collect();
        let copy = |from: &str, to: &str| {
            for end in ["", "-wal"] {
                fs::copy(place.path(&format!("{from}{end}")), place.path(&format!("{to}{end}"))).unwrap();
            }
        };
        copy("data/bootcode.sqlite", "copy");
        server.apply(&NETWORK.replace("lab", "late").replace("99.0", "98.0")).unwrap();
        assert_eq!(server.end(Signal::SIGTERM), Some(0));
        copy("copy", "data/bootcode.sqlite");
        for start in 1..=2 {
            let server = place.serve(&[]);
            assert_eq!(server.documents(), held, "start {start}");
            assert_eq!(server.end(Signal::SIGTERM), Some(0));
        }
    });
}

#[test]
fn a_damaged_store_is_found_by_check_and_by_the_start_and_left_as_it_is() {
    let place = Place::new("interfaces: [lo]\ndata_dir: data\napi: {socket: api.sock}\n");
    fs::create_dir(place.path("data")).unwrap();
    let database = place.path("data/bootcode.sqlite");
    let whole = store_with_documents(&place);
    assert_eq!(place.run(&["--check"]).code, Some(0));
    for (what, bytes) in [
        ("its header", [&[0x5a; 100], &whole[100..]].concat()),
        ("its end is missing", whole[..whole.len() / 2].to_vec()),
        ("a page of nothing", [&whole[..4096], &[0; 4096], &whole[8192..]].concat()),
    ] {
        fs::write(&database, &bytes).unwrap();
        for arguments in [&["--check"][..], &[]] {
            let parts = ["bootcode.sqlite", "is damaged", "left as it is", "restore a backup"];
            place.run(arguments).is(what, 74, &parts);
            assert_eq!(fs::read(&database).unwrap(), bytes, "{what}");
        }
        place.run(&["backup", "copy"]).is(what, 74, &["bootcode.sqlite", "is damaged"]);
        assert!(!place.path("copy").exists(), "{what}: a copy of damage is no backup");
    }
}

/// Makes the place's store, closed; the bytes of its file.
fn store_with_documents(place: &Place) -> Vec<u8> {
    use bootcode_core::store::{Batch, Key, SqliteStore, Store as _};
    let path = place.path("data/bootcode.sqlite");
    common::block_on(async {
        let store = SqliteStore::open(&path).unwrap();
        for number in 0..20 {
            let puts = (0..20)
                .map(|n| (Key::new("Thing", format!("{number}-{n}")), "x".repeat(200).into()))
                .collect();
            store.commit(Batch { puts, ..Batch::default() }).await.unwrap();
        }
    });
    fs::read(path).unwrap()
}

/// Writes a file until its file system is full.
fn fill(place: &Place) {
    let mut file = fs::File::create(place.path("data/filler")).unwrap();
    for size in [64 << 10, 4 << 10, 1] {
        while file.write_all(&vec![7; size]).is_ok() {}
    }
}

#[test]
fn a_full_disk_refuses_what_it_cannot_keep_and_everything_else_goes_on() {
    on_a_wire(|| {
        let place = Place::complete("");
        fs::create_dir(place.path("data")).unwrap();
        // The mount is this thread's and its children's alone, and ends with them.
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).unwrap();
        let data = place.path("data");
        for arguments in [
            &["--make-rprivate", "/"][..],
            &["-t", "tmpfs", "-o", "size=3m,mode=700", "tmpfs", data.to_str().unwrap()],
        ] {
            assert!(Command::new("mount").args(arguments).status().unwrap().success(), "mount {arguments:?}");
        }
        assert_ne!(fs::metadata(&data).unwrap().dev(), fs::metadata(place.path("")).unwrap().dev());
        place.write("files/a.txt", "hello");
        let server = place.serve(&[]);
        server.apply(&[NETWORK, MACHINE, TEMPLATE, WORKFLOW].join("---\n")).unwrap();
        fill(&place);
        // There is room in the log of changes until it has to grow.
        let refused =
            (0..200).find_map(|n| server.apply(&big_profile(n)).err().map(|error| (n, error.to_string())));
        let (first, error) = refused.expect("a disk of 3 MiB does not hold 20 MiB");
        assert!(error.contains("disk is full") && error.contains("make room"), "{error}");
        let acknowledged = server.documents();
        assert!(!acknowledged.contains(&format!("Profile/p{first}")), "what was refused is not there");
        for (path, status, body) in [
            ("/files/a.txt", 200, "hello"),
            ("/ipxe/script/52:54:00:00:00:01/auto.ipxe", 403, "no DHCP exchange"),
            ("/healthz", 200, ""),
        ] {
            let (got, text) = machines(&request("GET", path, "", ""));
            assert!(got == status && text.contains(body), "{path}: {got} {text}");
        }
        assert!(server.apply(&big_profile(first)).is_err(), "still full");
        fs::remove_file(place.path("data/filler")).unwrap();
        server.apply(&NETWORK.replace("lab", "late").replace("99.0", "98.0")).expect("there is room again");
        let after = server.documents();
        assert_eq!(after.len(), acknowledged.len() + 1);
        assert_eq!(server.end(Signal::SIGKILL), None);
        assert_eq!(place.serve(&[]).documents(), after, "nothing that was acknowledged is lost");

        fill(&place);
        let ended = place.run(&[]);
        assert_eq!(ended.code, Some(74), "a start without room: {}", ended.stderr);
        assert!(ended.said.contains("make room"), "{}", ended.said);
        fs::remove_file(place.path("data/filler")).unwrap();
        assert_eq!(place.serve(&[]).documents(), after, "and that start harmed nothing");
    });
}

fn big_profile(number: usize) -> String {
    let text = "x".repeat(100 << 10);
    format!(
        "apiVersion: bootcode/v1\nkind: Profile\nmetadata: {{name: p{number}}}\nspec: {{userData: '{text}'}}\n"
    )
}
