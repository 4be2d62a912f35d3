use std::fs;

use super::*;

/// A machine with a virtio disk, an NVMe disk, a loop device and an empty drive.
fn machine() -> (tempfile::TempDir, Roots) {
    let dir = tempfile::tempdir().unwrap();
    let roots =
        Roots { sys: dir.path().join("sys"), dev: dir.path().join("dev"), proc: dir.path().join("proc") };
    let write = |path: PathBuf, text: &str| {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let block =
        |name: &str, file: &str, text: &str| write(roots.sys.join("block").join(name).join(file), text);
    block("vda", "size", "8192\n");
    block("vda", "serial", "root-disk");
    block("vda", "queue/rotational", "1\n");
    block("vda", "vda1/partition", "1\n");
    block("nvme0n1", "size", "4096\n");
    block("nvme0n1", "wwid", "eui.0025385971b07b1b\n");
    block("nvme0c0n1", "size", "4096\n");
    block("nvme0c0n1", "hidden", "1\n");
    block("vda", "hidden", "0\n");
    block("sda", "size", "0\n");
    block("loop0", "size", "100\n");
    write(roots.sys.join("class/dmi/id/product_serial"), "7XK2M3\n");
    write(roots.sys.join("class/dmi/id/product_uuid"), "4C4C4544-0058-4B10-8032-B7C04F4D3333\n");
    write(roots.proc.join("meminfo"), "MemTotal:         498312 kB\nMemFree: 1 kB\n");
    write(roots.dev.join("vda"), "");
    fs::write(roots.dev.join("vda"), vec![0; 8192 * 512]).unwrap();
    fs::create_dir_all(roots.dev.join("disk/by-id")).unwrap();
    std::os::unix::fs::symlink("../../vda", roots.dev.join("disk/by-id/virtio-root-disk")).unwrap();
    (dir, roots)
}

#[test]
fn the_inventory_tells_disks_and_identity() {
    let (_dir, roots) = machine();
    let inventory = inventory(&roots).unwrap();
    assert_eq!(inventory.serial.as_deref(), Some("7XK2M3"));
    assert_eq!(inventory.uuid.as_deref(), Some("4c4c4544-0058-4b10-8032-b7c04f4d3333"));
    assert_eq!(inventory.memory_bytes, 498_312 * 1024);
    assert!(!inventory.uefi);
    let [nvme, vda] = &inventory.disks[..] else { panic!("{:?}", inventory.disks) };
    assert_eq!((&*vda.device, vda.size_bytes, &*vda.kind), ("/dev/vda", 8192 * 512, "hdd"));
    assert_eq!((vda.serial.as_deref(), vda.blank), (Some("root-disk"), true));
    assert_eq!(vda.paths, ["/dev/disk/by-id/virtio-root-disk"]);
    assert_eq!((nvme.wwn.as_deref(), &*nvme.kind), (Some("eui.0025385971b07b1b"), "nvme"));
}

#[test]
fn a_disk_that_cannot_be_read_is_not_blank() {
    let (_dir, roots) = machine();
    let report = inspect_disk(&roots, "nvme0n1");
    assert!(!report.blank && report.found.starts_with("unreadable"), "{report:?}");
}

#[test]
fn partitions_are_those_that_say_so() {
    let (_dir, roots) = machine();
    assert_eq!(partitions(&roots, "vda"), ["vda1"]);
}

#[test]
fn a_machine_whose_disks_cannot_be_listed_is_not_a_machine_without_disks() {
    let (dir, mut roots) = machine();
    roots.sys = dir.path().join("nowhere");
    assert!(inventory(&roots).is_err());
}

#[test]
fn what_vendors_leave_empty_is_no_identity() {
    let (_dir, roots) = machine();
    let id = roots.sys.join("class/dmi/id");
    for (serial, uuid) in [
        ("To Be Filled By O.E.M.", "00000000-0000-0000-0000-000000000000"),
        ("Not Specified", "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF"),
        ("  ", "Not Settable"),
    ] {
        fs::write(id.join("product_serial"), serial).unwrap();
        fs::write(id.join("product_uuid"), uuid).unwrap();
        let inventory = inventory(&roots).unwrap();
        assert_eq!((inventory.serial, inventory.uuid), (None, None), "{serial}");
    }
}
