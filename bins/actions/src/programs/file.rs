//! Writing small files of the installed system: whole or not at all, and read back.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Component, Path, PathBuf},
};

use crate::{ActionError, mount::BASE};

/// A file of the target by its absolute name there. The image's symbolic links are followed by hand, as seen from its own
/// root: the kernel would follow an absolute one into the container.
pub(super) fn in_target(name: &str) -> Result<PathBuf, ActionError> {
    let mut path = PathBuf::from(BASE);
    let mut left: Vec<_> = parts(Path::new(name));
    let mut followed = 0;
    while let Some(part) = left.pop() {
        if part == ".." {
            if path != Path::new(BASE) {
                path.pop();
            }
            continue;
        }
        let next = path.join(&part);
        match fs::read_link(&next) {
            Ok(link) if followed < 40 => {
                followed += 1;
                if link.is_absolute() {
                    path = PathBuf::from(BASE);
                }
                left.extend(parts(&link));
            }
            Ok(_) => {
                let source = std::io::Error::other("too many symbolic links");
                return Err(ActionError::File { path: next, doing: "following it", source });
            }
            Err(_) => path = next,
        }
    }
    Ok(path)
}

/// Writes a file of the target and reads it back.
pub(super) fn write(name: &str, text: &str, mode: u32) -> Result<(), ActionError> {
    let path = in_target(name)?;
    let fault = |doing| {
        let path = path.clone();
        move |source| ActionError::File { path, doing, source }
    };
    let parent = path.parent().unwrap_or(Path::new(BASE));
    fs::create_dir_all(parent).map_err(fault("making its directory"))?;
    let mut temporary = path.clone().into_os_string();
    temporary.push(".bootcode-new");
    let temporary = PathBuf::from(temporary);
    drop(fs::remove_file(&temporary));
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary);
    let mut file = file.map_err(fault("creating it"))?;
    // The mode of `open` is cut by the umask.
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(mode))
        .map_err(fault("setting its mode"))?;
    file.write_all(text.as_bytes()).map_err(fault("writing"))?;
    file.sync_all().map_err(fault("flushing"))?;
    fs::rename(&temporary, &path).map_err(fault("renaming"))?;
    if fs::read(&path).map_err(fault("reading it back"))? != text.as_bytes() {
        return Err(ActionError::FileReadBack { path });
    }
    Ok(())
}

/// Whether the target has this file.
pub(super) fn exists(name: &str) -> Result<bool, ActionError> {
    Ok(in_target(name)?.symlink_metadata().is_ok())
}

/// The parts of a name, the first one last.
fn parts(path: &Path) -> Vec<std::ffi::OsString> {
    let part = |component: Component<'_>| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    };
    let mut parts: Vec<_> = path.components().filter_map(part).collect();
    parts.reverse();
    parts
}
