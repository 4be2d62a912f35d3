use super::*;

fn names(list: &[&str]) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}

#[test]
fn only_what_the_workflow_selected_becomes_writable() {
    let disks = names(&["vda", "vdb"]);
    let partitions = |disk: &str| if disk == "vdb" { names(&["vdb1", "vdb2"]) } else { vec![] };
    let modes = |writable: &[&str]| plan(&disks, &names(writable).into_iter().collect(), partitions);
    let expected = |writable: bool| DiskMode { names: names(&["vdb", "vdb1", "vdb2"]), writable };
    assert_eq!(
        modes(&["vda"]).unwrap(),
        [DiskMode { names: names(&["vda"]), writable: true }, expected(false)]
    );
    assert_eq!(
        modes(&["vdb"]).unwrap(),
        [DiskMode { names: names(&["vda"]), writable: false }, expected(true)]
    );
    assert!(modes(&[]).unwrap().iter().all(|mode| !mode.writable));
}

#[test]
fn a_writable_disk_that_is_not_there_is_a_fault() {
    let fault = plan(&names(&["vda"]), &names(&["vdx"]).into_iter().collect(), |_| vec![]).unwrap_err();
    assert!(fault.to_string().contains("vdx") && fault.to_string().contains("vda"), "{fault}");
}

#[test]
fn a_file_is_not_taken_for_a_protected_disk() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("disk");
    std::fs::write(&path, "x").unwrap();
    assert!(matches!(set(&path, true), Err(ProtectError::Set { .. })));
}
