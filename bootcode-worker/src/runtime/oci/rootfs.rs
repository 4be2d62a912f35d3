//! A container's root: its image's layers under one writable directory.

use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
};

use nix::mount::{MntFlags, MsFlags, mount, umount2};

use super::super::RuntimeError;

/// The directories of one container.
#[derive(Debug)]
pub(super) struct Rootfs {
    /// Where `config.json` and `rootfs` stand.
    pub(super) bundle: PathBuf,
}

impl Rootfs {
    /// Joins the layers, the lowest first.
    pub(super) fn mount(dir: &Path, layers: &[PathBuf]) -> Result<Self, RuntimeError> {
        let [upper, work, root] = ["upper", "work", "rootfs"].map(|name| dir.join(name));
        for dir in [&upper, &work, &root] {
            fs::create_dir_all(dir).map_err(RuntimeError::file("make", dir))?;
        }
        // Overlayfs wants the topmost first.
        let mut options = OsString::from("lowerdir=");
        for (index, layer) in layers.iter().rev().enumerate() {
            if index > 0 {
                options.push(":");
            }
            options.push(layer);
        }
        options.push(",upperdir=");
        options.push(&upper);
        options.push(",workdir=");
        options.push(&work);
        mount(Some("overlay"), &root, Some("overlay"), MsFlags::empty(), Some(options.as_os_str())).map_err(
            |errno| RuntimeError::File {
                action: "mount layers on",
                path: root.clone(),
                source: errno.into(),
            },
        )?;
        Ok(Self { bundle: dir.to_owned() })
    }

    /// Unmounts and removes; nothing there is as good.
    pub(super) fn remove(dir: &Path) -> Result<(), RuntimeError> {
        let root = dir.join("rootfs");
        while let Ok(()) = umount2(&root, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW) {}
        match fs::remove_dir_all(dir) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(RuntimeError::File { action: "remove", path: dir.to_owned(), source })
            }
            _ => Ok(()),
        }
    }
}
