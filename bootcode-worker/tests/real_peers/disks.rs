//! Disks that the kernel protects, and what real tools leave on them.

use std::{
    fs::{self, File},
    io::Write as _,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use bootcode_core::workflow::WritableDisk;
use bootcode_worker::{
    hardware::{Roots, inspect, inspect_disk},
    protect::{ProtectError, protect_disks},
};
use nix::sys::stat::{Mode, SFlag, mknod};

use super::wanted;

const MIB: u64 = 1 << 20;

fn run(program: &str, args: &[&str]) -> String {
    let output =
        Command::new(program).args(args).output().unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn empty(path: &Path, bytes: u64) -> String {
    File::create(path).unwrap().set_len(bytes).unwrap();
    path.to_str().unwrap().to_owned()
}

/// A loop device that goes with the test.
struct Loop(String);

impl Drop for Loop {
    fn drop(&mut self) {
        let _ = Command::new("losetup").args(["--detach", &self.0]).status();
    }
}

/// Two loop devices that this machine calls `vda` and `vdb`.
fn machine(dir: &Path) -> (Roots, [Loop; 2]) {
    let roots = Roots { sys: dir.join("sys"), dev: dir.join("dev"), proc: dir.join("proc") };
    fs::create_dir_all(&roots.dev).unwrap();
    let loops = ["vda", "vdb"].map(|name| {
        let file = empty(&dir.join(name), 8 * MIB);
        let device = Loop(run("losetup", &["--find", "--show", &file]));
        let number = fs::metadata(&device.0).unwrap().rdev();
        mknod(&roots.dev.join(name), SFlag::S_IFBLK, Mode::S_IRUSR | Mode::S_IWUSR, number).unwrap();
        let sys = roots.sys.join("block").join(name);
        fs::create_dir_all(&sys).unwrap();
        fs::write(sys.join("size"), (8 * MIB / 512).to_string()).unwrap();
        device
    });
    (roots, loops)
}

fn write(roots: &Roots, name: &str) -> std::io::Result<()> {
    let mut disk = File::options().write(true).open(roots.dev.join(name))?;
    disk.write_all(&[7; 4096])?;
    disk.sync_all()
}

#[test]
fn the_kernel_refuses_writes_to_disks_that_were_not_selected() {
    if !wanted() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (roots, _loops) = machine(dir.path());
    let disk = |device: &str| WritableDisk { id: "a".into(), device: device.into() };
    for (selected, other) in [("vda", "vdb"), ("vdb", "vda")] {
        protect_disks(&roots, &[disk(&format!("/dev/{selected}"))]).unwrap();
        write(&roots, selected).unwrap();
        write(&roots, other).expect_err("writing to the other disk");
    }
    protect_disks(&roots, &[]).unwrap();
    write(&roots, "vda").expect_err("writing where nothing is selected");
    let missing = protect_disks(&roots, &[disk("/dev/vdz")]);
    assert!(matches!(missing, Err(ProtectError::Missing { .. })), "{missing:?}");
    assert!(!inspect_disk(&roots, "vda").blank, "it was written");
}

#[test]
fn what_real_tools_write_is_found() {
    if !wanted() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let look = |path: &PathBuf| {
        let size = fs::metadata(path).unwrap().len();
        inspect(&mut File::open(path).unwrap(), size).unwrap()
    };
    let path = dir.path().join("disk");
    let fresh = || empty(&path, 64 * MIB);
    let cases: [(&str, &[&str], &str); 5] = [
        ("mkfs.ext4", &["-q", "-F"], "ext4"),
        ("mkfs.ext2", &["-q", "-F"], "ext2"),
        ("mkfs.vfat", &[], "vfat"),
        ("mkswap", &[], "swap"),
        ("sgdisk", &["--new=1:0:0"], "gpt"),
    ];
    for (program, args, name) in cases {
        let disk = fresh();
        assert!(look(&path).blank, "before {program}");
        run(program, &[args, &[disk.as_str()]].concat());
        let found = look(&path);
        assert_eq!((found.blank, &*found.found), (false, name), "{program}");
    }
    let disk = fresh();
    run("sh", &["-c", "printf 'label: dos\nlabel-id: 0x12345678\n,,L\n' | sfdisk --quiet \"$0\"", &disk]);
    let found = look(&path);
    assert_eq!((&*found.found, found.table_id.as_deref()), ("dos", Some("12345678")));
    let disk = fresh();
    run("sgdisk", &["--new=1:0:0", "--disk-guid=6B29FC40-CA47-1067-B31D-00DD010662DA", &disk]);
    assert_eq!(look(&path).table_id.as_deref(), Some("6b29fc40-ca47-1067-b31d-00dd010662da"));
}
