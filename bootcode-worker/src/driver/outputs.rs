//! Outputs: `/workflow/outputs.json` of an action that ended, and `/workflow/outputs/TASK/ACTION.json` for those after it.

use std::{
    fs,
    io::{self, Read as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use bootcode_core::{
    limits::OUTPUT_BYTES,
    workflow::{ActionOutputs, Outputs},
};
use nix::fcntl::OFlag;

/// What an action writes, in the directory that its workflow's actions share.
pub(super) const OUTPUTS_FILE: &str = "outputs.json";

/// Removes what an earlier action left, so that it is not taken for the next one's.
pub(super) fn forget(shared: &Path) -> io::Result<()> {
    let path = shared.join(OUTPUTS_FILE);
    match fs::symlink_metadata(&path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(&path),
        Ok(_) => fs::remove_file(&path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// What the action left; `None` where it left nothing. An action may make anything of this name: only a small regular file is read.
pub(super) fn read(shared: &Path) -> Result<Option<Outputs>, String> {
    let fault = |what: String| format!("/workflow/{OUTPUTS_FILE} {what}");
    // A link would be followed outside of the container, and a pipe waited for.
    let flags = (OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY).bits();
    let file = match fs::File::options().read(true).custom_flags(flags).open(shared.join(OUTPUTS_FILE)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.raw_os_error() == Some(nix::libc::ELOOP) => {
            return Err(fault("is a symbolic link: write a file".to_owned()));
        }
        Err(error) => return Err(fault(format!("cannot be read: {error}"))),
    };
    let found = file.metadata().map_err(|error| fault(format!("cannot be read: {error}")))?;
    if !found.is_file() {
        return Err(fault("is no regular file".to_owned()));
    }
    let mut bytes = Vec::new();
    let read = file.take(OUTPUT_BYTES as u64 + 1).read_to_end(&mut bytes);
    read.map_err(|error| fault(format!("cannot be read: {error}")))?;
    if bytes.len() > OUTPUT_BYTES {
        return Err(fault(format!("has more than {OUTPUT_BYTES} bytes")));
    }
    // Its text is not repeated: it may hold what is not to be told.
    serde_json::from_slice(&bytes).map(Some).map_err(|error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        fault(format!("is no JSON object ({place}): write {{\"name\": value, ..}}"))
    })
}

/// Writes what earlier actions left, in place of what is in `dir`.
pub(super) fn provide(dir: &Path, outputs: &[ActionOutputs]) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => fs::create_dir_all(dir)?,
    }
    for one in outputs {
        let task = dir.join(file_name(&one.task));
        fs::create_dir_all(&task)?;
        let json = serde_json::to_vec(&one.outputs)?;
        fs::write(task.join(format!("{}.json", file_name(&one.action))), json)?;
    }
    Ok(())
}

/// The name of a task or action as the name of a file: the same, but for what no file can be called.
fn file_name(name: &str) -> String {
    let encoded = name.replace('%', "%25").replace('/', "%2F").replace('\0', "%00");
    match encoded.as_str() {
        "." | ".." => encoded.replace('.', "%2E"),
        _ => encoded,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn only_a_small_regular_file_with_an_object_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(OUTPUTS_FILE);
        let elsewhere = dir.path().join("elsewhere.json");
        fs::write(&elsewhere, "{}").unwrap();
        assert_eq!(read(dir.path()), Ok(None));
        let padded = |bytes: usize| format!("{{{}}}", " ".repeat(bytes - 2));
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(4000), "]".repeat(4000));
        for (text, expected) in [
            ("{\"a\": 1}", Ok(1)),
            ("{}", Ok(0)),
            (&padded(OUTPUT_BYTES), Ok(0)),
            (&padded(OUTPUT_BYTES + 1), Err("has more than 65536 bytes")),
            ("[1]", Err("is no JSON object")),
            ("{\"token\": swordfish}", Err("is no JSON object")),
            ("", Err("is no JSON object")),
            (&deep, Err("is no JSON object")),
        ] {
            fs::write(&path, text).unwrap();
            match (read(dir.path()), expected) {
                (Ok(Some(found)), Ok(length)) => assert_eq!(found.len(), length),
                (Err(error), Err(expected)) => {
                    assert!(error.contains(expected) && !error.contains("swordfish"), "{error}");
                }
                (found, expected) => panic!("{found:?}, expected {expected:?}"),
            }
        }
        fs::write(&path, b"{\"a\": \"\xff\"}").unwrap();
        assert!(read(dir.path()).is_err());
        forget(dir.path()).unwrap();
        symlink(&elsewhere, &path).unwrap();
        assert!(read(dir.path()).unwrap_err().contains("symbolic link"));
        forget(dir.path()).unwrap();
        assert!(elsewhere.exists(), "the link goes, not what it points to");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(read(dir.path()).unwrap_err().contains("no regular file"), "without waiting for a writer");
        forget(dir.path()).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(read(dir.path()).unwrap_err().contains("no regular file"));
        forget(dir.path()).unwrap();
        assert_eq!(read(dir.path()), Ok(None));
        forget(dir.path()).unwrap();
    }

    #[test]
    fn earlier_outputs_are_files_by_task_and_action_and_no_name_leaves_the_directory() {
        let dir = tempfile::tempdir().unwrap();
        let outputs = |task: &str, action: &str, value: &str| ActionOutputs {
            task: task.into(),
            action: action.into(),
            outputs: std::sync::Arc::new(serde_json::from_str(value).unwrap()),
        };
        let target = dir.path().join("outputs");
        provide(&target, &[outputs("old", "gone", "{}")]).unwrap();
        let all =
            [outputs("os", "install", "{\"a\": 1}"), outputs("..", "../x", "{}"), outputs("50%", ".", "{}")];
        provide(&target, &all).unwrap();
        let there = |path: &str| fs::read_to_string(target.join(path)).unwrap();
        assert_eq!(there("os/install.json"), "{\"a\":1}");
        assert_eq!(there("%2E%2E/..%2Fx.json"), "{}");
        assert_eq!(there("50%25/%2E.json"), "{}");
        assert!(!target.join("old").exists());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
