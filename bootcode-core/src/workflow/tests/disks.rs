use crate::{
    document::{Disk, Overwrite, Storage, WorkflowDocSpec},
    template::WorkflowSpec,
    workflow::{
        Armed, DiskReport, Inventory,
        fixtures::{action, declared, disk, spec},
        installation, writable,
    },
};

fn ask(storage: &Storage, declared: &WorkflowDocSpec, armed: &[Armed], disks: &[DiskReport]) -> String {
    ask_spec(&spec(), storage, declared, armed, disks)
}

fn ask_spec(
    spec: &WorkflowSpec,
    storage: &Storage,
    declared: &WorkflowDocSpec,
    armed: &[Armed],
    disks: &[DiskReport],
) -> String {
    let inventory = Inventory { disks: disks.to_vec(), ..Inventory::default() };
    match writable("node-1", Some(storage), declared, spec, armed, &inventory) {
        Ok(disks) => disks
            .iter()
            .map(|d| format!("{}={} {}", d.id, d.device, d.known_by))
            .collect::<Vec<_>>()
            .join(" "),
        Err(hold) => hold.to_string(),
    }
}

fn at(id: &str, device: &str) -> Disk {
    Disk { id: id.to_owned(), device: Some(device.to_owned()), ..Disk::default() }
}

fn by(id: &str, key: &str, value: &str) -> Disk {
    Disk { id: id.to_owned(), matching: [(key.to_owned(), value.to_owned())].into(), ..Disk::default() }
}

fn storage(disks: impl IntoIterator<Item = Disk>) -> Storage {
    Storage { disks: disks.into_iter().collect(), partitions: Vec::new() }
}

#[test]
fn only_a_disk_that_is_blank_or_named_is_handed_out() {
    let a = storage([at("a", "/dev/vda")]);
    let any = WorkflowDocSpec { overwrite: Overwrite::Any, ..declared() };
    let replaces = |id: &str| WorkflowDocSpec { replaces: Some(id.to_owned()), ..declared() };
    let (blank, gpt, zfs) =
        (disk("/dev/vda", "A", ""), disk("/dev/vda", "A", "gpt"), disk("/dev/vda", "A", "zfs"));
    let lies = DiskReport { blank: true, ..gpt.clone() };
    let not_blank = |found: &str| {
        format!(
            "DiskNotBlank: disk a (/dev/vda) holds {found}; say `replaces:` or `overwrite: any` in a new Workflow"
        )
    };
    let cases = [
        (&declared(), &blank, "a=/dev/vda serial:A".to_owned()),
        (&declared(), &gpt, not_blank("gpt")),
        (&declared(), &zfs, not_blank("zfs")),
        (&declared(), &lies, not_blank("gpt")),
        (&any, &zfs, "a=/dev/vda serial:A".to_owned()),
        (&replaces("serial:A@t1"), &gpt, "a=/dev/vda serial:A".to_owned()),
        (&replaces("serial:Z@t9,serial:A@t1"), &gpt, "a=/dev/vda serial:A".to_owned()),
        (&replaces("serial:A@t2"), &gpt, not_blank("gpt")),
        (&replaces("serial:B@t1"), &gpt, not_blank("gpt")),
        (&replaces("serial:A@t1"), &zfs, not_blank("zfs")),
    ];
    for (declared, found, expected) in cases {
        assert_eq!(ask(&a, declared, &[], std::slice::from_ref(found)), expected, "{declared:?}");
    }
}

#[test]
fn a_disk_that_is_not_exactly_one_is_refused() {
    let two = [disk("/dev/vda", "A", ""), disk("/dev/vdb", "B", "")];
    let twins = [disk("/dev/vda", "A", ""), disk("/dev/vdb", "A", "")];
    let keep = |disk: Disk| Disk { keep: true, ..disk };
    let cases = [
        (
            storage([by("a", "type", "ssd")]),
            &two,
            "DiskMismatch: disk a: more than one disk fits: /dev/vda, /dev/vdb",
        ),
        (
            storage([at("a", "/dev/sda")]),
            &two,
            "DiskMismatch: disk a: no disk fits; the machine has /dev/vda, /dev/vdb",
        ),
        (storage([by("a", "serial", "B")]), &two, "a=/dev/vdb serial:B"),
        (
            storage([at("a", "/dev/vda"), by("b", "serial", "A")]),
            &two,
            "DiskMismatch: disk b: /dev/vda is selected twice",
        ),
        (
            storage([at("a", "/dev/vda"), keep(by("data", "serial", "A"))]),
            &two,
            "DiskMismatch: disk a: /dev/vda is disk data, which has keep: true",
        ),
        (storage([at("a", "/dev/vda"), keep(by("data", "serial", "B"))]), &two, "a=/dev/vda serial:A"),
        (storage([]), &two, ""),
        // A serial number that two disks share identifies neither.
        (storage([at("a", "/dev/vda")]), &twins, "a=/dev/vda path:/dev/vda+4294967296"),
    ];
    for (storage, disks, expected) in cases {
        assert_eq!(ask(&storage, &declared(), &[], disks), expected, "{storage:?}");
    }
}

#[test]
fn an_armed_disk_is_found_again_by_what_it_is_and_nothing_else_is() {
    let a = storage([at("a", "/dev/vda")]);
    let armed = |known_by: &str| {
        vec![Armed {
            id: "a".into(),
            known_by: known_by.into(),
            device: "/dev/vda".into(),
            found: "blank".into(),
        }]
    };
    let moved = [disk("/dev/vdb", "A", "gpt"), disk("/dev/vda", "B", "ext4")];
    let cases = [
        (armed("serial:A"), &moved[..], "a=/dev/vdb serial:A"),
        (armed("serial:A"), &moved[1..], "DiskMismatch: disk a: the disk serial:A that was armed is gone"),
        (armed("wwn:1"), &moved[..], "DiskMismatch: disk a: the disk wwn:1 that was armed is gone"),
        // A node is another disk in another boot: this one is not the disk that was armed.
        (
            armed("path:/dev/vda+4294967296"),
            &moved[..],
            "DiskMismatch: disk a: nothing tells /dev/vda from the other disks of its size, and it holds ext4",
        ),
        (armed("path:/dev/vda+4294967296"), &moved[1..], "a=/dev/vda path:/dev/vda+4294967296"),
        (
            armed("path:/dev/vda+1"),
            &moved[..],
            "DiskMismatch: disk a: the disk path:/dev/vda+1 that was armed is gone",
        ),
    ];
    for (armed, disks, expected) in cases {
        assert_eq!(ask(&a, &declared(), &armed, disks), expected, "{armed:?}");
    }
    let kept = storage([Disk { keep: true, ..at("a", "/dev/vda") }]);
    let refused = ask(&kept, &declared(), &armed("serial:A"), &moved);
    assert_eq!(refused, "DiskMismatch: disk a: /dev/vdb is disk a, which has keep: true");
}

#[test]
fn a_template_that_names_its_disks_gets_those_and_no_unselected_one() {
    let two = [disk("/dev/vda", "A", ""), disk("/dev/vdb", "B", "zfs")];
    let selected = storage([at("a", "/dev/vda"), at("b", "/dev/vdb")]);
    let writes = |ids: &[&str]| {
        let mut spec = spec();
        let mut only = action("wipe");
        only.writes = Some(ids.iter().map(|id| (*id).to_owned()).collect());
        spec.tasks[0].actions = vec![only];
        spec
    };
    let ask = |ids: &[&str], storage: &Storage| ask_spec(&writes(ids), storage, &declared(), &[], &two);
    assert_eq!(ask(&["a"], &selected), "a=/dev/vda serial:A");
    assert!(ask(&["a", "b"], &selected).starts_with("DiskNotBlank: disk b"));
    assert_eq!(
        ask(&["b"], &storage([at("a", "/dev/vda")])),
        "DiskMismatch: disk b: action wipe writes it, but the Hardware does not select it"
    );
}

#[test]
fn an_installation_is_the_disks_and_their_tables() {
    let armed = |known_by: &str| Armed {
        id: known_by.to_owned(),
        known_by: format!("serial:{known_by}"),
        device: String::new(),
        found: String::new(),
    };
    let disks = [disk("/dev/vda", "A", "gpt"), disk("/dev/vdb", "B", "gpt"), disk("/dev/vdc", "C", "ext4")];
    assert_eq!(installation(&[], &disks), None);
    assert_eq!(installation(&[armed("A"), armed("B")], &disks).as_deref(), Some("serial:A@t1,serial:B@t1"));
    assert_eq!(installation(&[armed("A"), armed("C")], &disks), None, "C has no table");
    assert_eq!(installation(&[armed("Z")], &disks), None);
}
