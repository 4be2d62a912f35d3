//! From the initramfs to a root on a tmpfs: the initramfs cannot be pivoted away from, so no container
//! could be started in it.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use nix::mount::MsFlags;

use super::error::InitError;
use super::mounts::mount;
use crate::limits::ROOT_SIZE;

/// The argument that tells `/init` that root is the tmpfs already.
pub(super) const ON_TMPFS: &str = "--root-on-tmpfs";

const NEW_ROOT: &str = "/newroot";

/// Moves everything onto a tmpfs, makes that the root and executes `/init` there. Returns only on failure.
///
/// # Errors
/// A mount, a copy or the execution that failed.
pub(super) fn switch() -> Result<std::convert::Infallible, InitError> {
    fs::create_dir_all(NEW_ROOT).map_err(InitError::file("make", NEW_ROOT))?;
    mount("tmpfs", NEW_ROOT, MsFlags::empty(), &format!("size={ROOT_SIZE},mode=0755"))?;
    let device = fs::metadata("/").map_err(InitError::file("read", "/"))?.dev();
    move_directory(Path::new("/"), Path::new(NEW_ROOT), device)?;
    std::env::set_current_dir(NEW_ROOT).map_err(InitError::file("enter", NEW_ROOT))?;
    nix::mount::mount(Some("."), "/", None::<&str>, MsFlags::MS_MOVE, None::<&str>)
        .map_err(|source| InitError::Mount { kind: "the new root", path: "/".into(), source })?;
    nix::unistd::chroot(".").map_err(InitError::call("chroot to the new root"))?;
    std::env::set_current_dir("/").map_err(InitError::file("enter", "/"))?;
    let source = Command::new("/init").arg(ON_TMPFS).exec();
    Err(InitError::File { action: "execute", path: "/init".into(), source })
}

/// Moves the entries of `from` to `to`, freeing each file as soon as it is copied, and stays on `device`.
fn move_directory(from: &Path, to: &Path, device: u64) -> Result<(), InitError> {
    for entry in fs::read_dir(from).map_err(InitError::file("read", from))? {
        let path = entry.map_err(InitError::file("read", from))?.path();
        let Some(name) = path.file_name() else { continue };
        let target = to.join(name);
        let meta = fs::symlink_metadata(&path).map_err(InitError::file("read", &path))?;
        // The new root itself is on another device; /dev is mounted anew.
        if meta.dev() != device || path == Path::new("/dev") {
            continue;
        }
        if meta.is_dir() {
            fs::create_dir(&target).map_err(InitError::file("make", &target))?;
            // Not at the making, where the file mode mask would take the others' right to write from /tmp.
            fs::set_permissions(&target, meta.permissions()).map_err(InitError::file("make", &target))?;
            move_directory(&path, &target, device)?;
            // One that is still in use stays behind, empty; nothing depends on it.
            let _ = fs::remove_dir(&path);
        } else if meta.is_symlink() {
            let link = fs::read_link(&path).map_err(InitError::file("read", &path))?;
            symlink(link, &target).map_err(InitError::file("make", &target))?;
        } else if meta.is_file() {
            fs::copy(&path, &target).map_err(InitError::file("copy", &path))?;
            fs::remove_file(&path).map_err(InitError::file("remove", &path))?;
        }
    }
    Ok(())
}
