//! Watched directories: what they bring, what goes with them, and what never does.
//!
//! Runs where `BOOTCODE_REAL_PEERS` is 1 (`cargo xtask test` sets it); needs root and `ip` (iproute2).

#![allow(clippy::unwrap_used)]

mod common;

use std::{fs, os::unix::fs::symlink};

use common::{MACHINE, NETWORK, Place, Serving, TEMPLATE, WORKFLOW, block_on, on_a_wire};
use nix::sys::signal::Signal;

const PRUNING: &str = "sources: [{dir: machines, prune: true, maxDelete: 2}]\n";

fn machine(number: u8) -> String {
    let address = format!("99.{}", 10 + number);
    MACHINE
        .replace("node-1", &format!("node-{number}"))
        .replace(":01", &format!(":{number:02}"))
        .replace("99.11", &address)
}

/// A directory with a network and this many machines, a file each.
fn fleet(place: &Place, machines: u8) {
    place.write("machines/network.yaml", NETWORK);
    for number in 1..=machines {
        place.write(&format!("machines/node-{number}.yaml"), machine(number));
    }
}

fn names(server: &Serving, kind: &str) -> Vec<String> {
    let of_kind = |name: String| name.strip_prefix(&format!("{kind}/")).map(str::to_owned);
    server.documents().into_iter().filter_map(of_kind).collect()
}

#[test]
fn what_is_gone_from_a_directory_is_deleted_within_bounds() {
    on_a_wire(|| {
        let place = Place::complete(PRUNING);
        fleet(&place, 4);
        let server = place.serve(&[]);
        server.apply(&machine(9)).unwrap();
        let file = |number: u8| place.path(&format!("machines/node-{number}.yaml"));

        // A renamed file takes its documents with it.
        fs::rename(file(1), place.path("machines/renamed.yaml")).unwrap();
        fs::remove_file(file(2)).unwrap();
        assert!(server.wait_for("it is gone from the directory").contains("Hardware/node-2"));
        assert_eq!(names(&server, "Hardware"), ["node-1", "node-3", "node-4", "node-9"]);

        for gone in [place.path("machines/renamed.yaml"), file(3), file(4)] {
            fs::remove_file(gone).unwrap();
        }
        let told = server.wait_for("nothing was deleted");
        assert!(told.contains("3 documents") && told.contains("maxDelete: 2"), "{told}");
        assert!(told.contains("Hardware/node-1") && told.contains("raise maxDelete"), "{told}");
        assert_eq!(names(&server, "Hardware"), ["node-1", "node-3", "node-4", "node-9"]);
        place.write("machines/node-3.yaml", machine(3));
        server.wait_for("it is gone from the directory");
        server.wait_for("it is gone from the directory");
        assert_eq!(names(&server, "Hardware"), ["node-3", "node-9"], "the operator's own stays");

        // What goes while the server is away goes when it is back.
        assert_eq!(server.end(Signal::SIGTERM), Some(0));
        place.write("machines/template.yaml", TEMPLATE);
        fs::remove_file(file(3)).unwrap();
        let server = place.serve(&[]);
        server.wait_for("it is gone from the directory");
        assert_eq!(names(&server, "Hardware"), ["node-9"]);
    });
}

#[test]
fn an_empty_an_unmounted_and_a_faulty_directory_delete_nothing() {
    on_a_wire(|| {
        let place = Place::complete(PRUNING);
        fleet(&place, 1);
        let server = place.serve(&[]);
        let all = server.documents();

        fs::rename(place.path("machines"), place.path("away")).unwrap();
        server.wait_for("documents are as they were applied last");
        assert_eq!(server.documents(), all, "unreadable");
        fs::create_dir(place.path("machines")).unwrap();
        assert!(server.wait_for("holds no documents").contains("nothing is deleted"));
        assert_eq!(server.documents(), all, "empty");
        place.write("machines/half.yaml", &machine(2)[..60]);
        server.wait_for("nothing of");
        assert_eq!(server.documents(), all, "faulty");

        assert_eq!(server.end(Signal::SIGTERM), Some(0));
        fs::remove_file(place.path("machines/half.yaml")).unwrap();
        let server = place.serve(&[]);
        assert_eq!(server.documents(), all, "empty at the start");
    });
}

#[test]
fn a_machine_with_an_open_workflow_stays_and_goes_after_it() {
    on_a_wire(|| {
        let place = Place::complete(PRUNING);
        fleet(&place, 1);
        place.write("machines/template.yaml", TEMPLATE);
        place.write("machines/workflow.yaml", WORKFLOW);
        let server = place.serve(&[]);
        fs::remove_file(place.path("machines/node-1.yaml")).unwrap();
        let kept = server.wait_for("kept as long as it is needed");
        assert!(
            kept.contains("Hardware/node-1") && kept.contains("is needed by Workflow `install`"),
            "{kept}"
        );
        fs::remove_file(place.path("machines/workflow.yaml")).unwrap();
        let kept = server.wait_for("kept as long as it is needed");
        assert!(
            kept.contains("Workflow/install") && kept.contains("is needed by Workflow `install`"),
            "{kept}"
        );
        assert_eq!(names(&server, "Hardware"), ["node-1"]);
        block_on(server.client().command("install", "cancel")).unwrap();
        place.write("machines/other.yaml", machine(2));
        server.wait_for("Hardware/node-1");
        assert_eq!(names(&server, "Hardware"), ["node-2"]);
    });
}

#[test]
fn two_directories_do_not_declare_the_same_and_files_may_move_between_them() {
    on_a_wire(|| {
        let place = Place::complete("sources: [{dir: machines, prune: true}, {dir: other, prune: true}]\n");
        fs::create_dir(place.path("other")).unwrap();
        fleet(&place, 2);
        place.write("other/template.yaml", TEMPLATE);
        let server = place.serve(&[]);
        let all = server.documents();

        place.write("other/again.yaml", machine(1));
        let fault = server.wait_for("declared in");
        for part in ["other/again.yaml:3:", "machines/node-1.yaml", "`node-1`"] {
            assert!(fault.contains(part), "{part}: {fault}");
        }
        assert_eq!(server.documents(), all);
        // With the first one gone the second is what counts, and nothing is deleted in between.
        fs::remove_file(place.path("machines/node-1.yaml")).unwrap();
        place.write("other/more.yaml", machine(3));
        server.wait_for("documents applied");
        assert_eq!(names(&server, "Hardware"), ["node-1", "node-2", "node-3"]);
        fs::remove_file(place.path("other/again.yaml")).unwrap();
        assert!(server.wait_for("it is gone from the directory").contains("Hardware/node-1"));

        place.write("other/again.yaml", machine(2));
        drop(server);
        place.run(&["--check"]).is_fault(&["other/again.yaml:3:", "machines/node-2.yaml"]);
    });
}

#[test]
fn a_tree_that_is_swapped_as_kubernetes_and_git_sync_do_is_read_whole() {
    on_a_wire(|| {
        let place = Place::complete(PRUNING);
        fs::remove_dir(place.path("machines")).unwrap();
        for (tree, numbers) in [("one", [1, 2]), ("two", [2, 3])] {
            fs::create_dir(place.path(tree)).unwrap();
            place.write(&format!("{tree}/network.yaml"), NETWORK);
            let both = numbers.map(machine).join("---\n");
            place.write(&format!("{tree}/machines.yaml"), both);
        }
        // As git-sync: the directory is a link that is replaced at once.
        symlink("one", place.path("machines")).unwrap();
        let server = place.serve(&[]);
        assert_eq!(names(&server, "Hardware"), ["node-1", "node-2"]);
        let swap = |target: &str, link: &str| {
            symlink(target, place.path("next")).unwrap();
            fs::rename(place.path("next"), place.path(link)).unwrap();
        };
        swap("two", "machines");
        server.wait_for("it is gone from the directory");
        assert_eq!(names(&server, "Hardware"), ["node-2", "node-3"]);

        // As a ConfigMap: files are links through `..data`, and that is replaced at once.
        fs::create_dir(place.path("map")).unwrap();
        symlink("../two", place.path("map/..data")).unwrap();
        for name in ["network.yaml", "machines.yaml"] {
            symlink(format!("..data/{name}"), place.path(&format!("map/{name}"))).unwrap();
        }
        swap("map", "machines");
        swap("../one", "map/..data");
        assert!(server.wait_for("it is gone from the directory").contains("Hardware/node-3"));
        assert_eq!(names(&server, "Hardware"), ["node-1", "node-2"]);
    });
}
