//! Layers unpack as root only: owners and whiteouts need its rights.

use std::{fs, os::unix::fs::FileTypeExt as _, path::Path};

use tar::{Builder, EntryType, Header};

use super::unpack_layer;

enum Item<'a> {
    File(&'a str, &'a str),
    Dir(&'a str),
    Symlink(&'a str, &'a str),
    Hard(&'a str, &'a str),
}

/// A tar that says what it is told to, `..` and absolute paths included.
fn tar(items: &[Item<'_>]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for item in items {
        let mut header = Header::new_gnu();
        header.set_mode(0o755);
        header.set_uid(u64::from(nix::unistd::getuid().as_raw()));
        header.set_gid(u64::from(nix::unistd::getgid().as_raw()));
        let (path, data) = match item {
            Item::File(path, data) => (path, *data),
            Item::Dir(path) => {
                header.set_entry_type(EntryType::Directory);
                (path, "")
            }
            Item::Symlink(path, to) => {
                header.set_entry_type(EntryType::Symlink);
                header.set_link_name_literal(to).unwrap();
                (path, "")
            }
            Item::Hard(path, to) => {
                header.set_entry_type(EntryType::Link);
                header.set_link_name_literal(to).unwrap();
                (path, "")
            }
        };
        header.set_size(data.len() as u64);
        header.as_gnu_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_cksum();
        builder.append(&header, data.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap()
}

fn unpack(items: &[Item<'_>], target: &Path) -> Result<(), String> {
    unpack_layer(&tar(items)[..], target).map(|_| ()).map_err(|error| error.to_string())
}

#[test]
fn nothing_of_a_layer_lands_outside_of_it() {
    use Item::{File, Hard, Symlink};
    let cases: &[(&str, &[Item<'_>])] = &[
        ("dots", &[File("../outside", "x")]),
        ("inner dots", &[File("a/../../outside", "x")]),
        ("through a link", &[Symlink("a", ".."), File("a/outside", "x")]),
        ("through an absolute link", &[Symlink("a", "/tmp"), File("a/bootcode-outside", "x")]),
        ("a hard link's target", &[Hard("a", "../secret")]),
        ("a whiteout through a link", &[Symlink("a", ".."), File("a/.wh.outside", "")]),
        ("an opaque mark through a link", &[Symlink("a", ".."), File("a/.wh..wh..opq", "")]),
        ("a whiteout of the parent", &[File("a/.wh...", "")]),
    ];
    for (name, items) in cases {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("layer");
        fs::create_dir(&target).unwrap();
        fs::write(dir.path().join("secret"), "s").unwrap();
        let result = unpack(items, &target);
        assert!(result.is_err(), "{name}");
        let mut around: Vec<_> =
            fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        around.sort();
        assert_eq!(around, ["layer", "secret"], "{name}");
        assert!(!Path::new("/tmp/bootcode-outside").exists(), "{name}");
        assert_eq!(xattr::get(dir.path(), "trusted.overlay.opaque").unwrap_or_default(), None, "{name}");
    }
}

#[test]
fn an_absolute_name_stays_below_the_layer() {
    let dir = tempfile::tempdir().unwrap();
    unpack(&[Item::File("/etc/name", "x")], dir.path()).unwrap();
    assert_eq!(fs::read_to_string(dir.path().join("etc/name")).unwrap(), "x");
}

#[test]
fn links_inside_of_a_layer_are_kept() {
    use std::os::unix::fs::MetadataExt as _;
    let dir = tempfile::tempdir().unwrap();
    let items = [
        Item::Dir("bin"),
        Item::File("bin/busybox", "b"),
        Item::Symlink("bin/sh", "busybox"),
        Item::Hard("bin/ls", "bin/busybox"),
    ];
    unpack(&items, dir.path()).unwrap();
    assert_eq!(fs::read_link(dir.path().join("bin/sh")).unwrap(), Path::new("busybox"));
    assert_eq!(fs::metadata(dir.path().join("bin/ls")).unwrap().nlink(), 2);
}

#[test]
fn whiteouts_become_overlayfs_marks() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let items = [
        Item::File("etc/.wh.gone", ""),
        Item::File("etc/.wh.replaced", ""),
        Item::File("etc/replaced", "new"),
        Item::Dir("var"),
        Item::File("var/.wh..wh..opq", ""),
        Item::File("usr/.wh.tree", ""),
        Item::File("usr/tree/leaf", "new"),
    ];
    // `replaced` comes after its whiteout here and before it in other archives: both mean the new file.
    unpack(&items, dir.path()).unwrap();
    assert!(fs::symlink_metadata(dir.path().join("etc/gone")).unwrap().file_type().is_char_device());
    assert_eq!(fs::read_to_string(dir.path().join("etc/replaced")).unwrap(), "new");
    for opaque in ["var", "usr/tree"] {
        assert_eq!(
            xattr::get(dir.path().join(opaque), "trusted.overlay.opaque").unwrap().unwrap(),
            b"y",
            "{opaque}"
        );
    }
}
