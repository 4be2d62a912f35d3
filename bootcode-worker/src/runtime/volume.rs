//! `src:dst[:options]`, as Docker has it.

use std::path::{Component, Path, PathBuf};

/// A directory or file of the machine inside of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// On the machine; a directory is made where nothing is.
    pub source: PathBuf,
    /// In the container.
    pub target: PathBuf,
    /// Whether the container may only read.
    pub read_only: bool,
}

/// What is no volume.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the volume `{text}` cannot be mounted: {why}; write /source:/target or /source:/target:ro")]
pub struct VolumeError {
    /// As it was given.
    pub text: String,
    /// What is wrong.
    pub why: &'static str,
}

impl Volume {
    /// Reads `src:dst[:options]`.
    ///
    /// # Errors
    /// A path that is not absolute or has `..` in it, or an option that is not known.
    pub fn parse(text: &str) -> Result<Self, VolumeError> {
        let fault = |why| VolumeError { text: text.chars().take(200).collect(), why };
        let mut parts = text.split(':');
        let (Some(source), Some(target)) = (parts.next(), parts.next()) else {
            return Err(fault("it has no target"));
        };
        let options = parts.next().unwrap_or_default();
        if parts.next().is_some() {
            return Err(fault("it has too many colons"));
        }
        let mut read_only = false;
        for option in options.split(',').filter(|option| !option.is_empty()) {
            match option {
                "ro" => read_only = true,
                "rw" => read_only = false,
                // Labels and propagation change nothing here: containers are privileged, mounts are private.
                "z" | "Z" | "private" | "rprivate" | "slave" | "rslave" => {}
                "shared" | "rshared" => {
                    return Err(fault("mounts of a container do not spread to the machine"));
                }
                _ => return Err(fault("its option is not known")),
            }
        }
        let path = |text: &str| {
            let path = Path::new(text);
            let plain = path.components().all(|part| !matches!(part, Component::ParentDir));
            (path.is_absolute() && plain).then(|| path.to_owned())
        };
        let source = path(source).ok_or_else(|| fault("its source is not an absolute path"))?;
        let target = path(target).ok_or_else(|| fault("its target is not an absolute path"))?;
        if target == Path::new("/") {
            return Err(fault("its target is the container's root"));
        }
        Ok(Self { source, target, read_only })
    }

    /// Makes the source, as Docker does.
    ///
    /// # Errors
    /// Nothing is there and no directory can be made.
    pub fn ensure_source(&self) -> std::io::Result<()> {
        if self.source.symlink_metadata().is_ok() { Ok(()) } else { std::fs::create_dir_all(&self.source) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes_read_as_docker_reads_them() {
        for (text, expected) in [
            ("/dev:/dev", Some(("/dev", "/dev", false))),
            ("/lib/firmware:/lib/firmware:ro", Some(("/lib/firmware", "/lib/firmware", true))),
            ("/a:/b:ro,z", Some(("/a", "/b", true))),
            ("/a:/b:rw", Some(("/a", "/b", false))),
            ("/a", None),
            ("data:/b", None),
            ("/a:b", None),
            ("/a/../b:/c", None),
            ("/a:/b/../..", None),
            ("/a:/", None),
            ("/a:/b:nocopy", None),
            ("/a:/b:shared", None),
            ("/a:/b:ro:x", None),
            ("", None),
        ] {
            let found = Volume::parse(text).ok();
            let expected = expected.map(|(source, target, read_only)| Volume {
                source: source.into(),
                target: target.into(),
                read_only,
            });
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn a_missing_source_becomes_a_directory_and_a_file_stays_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let volume =
            |name: &str| Volume { source: dir.path().join(name), target: "/x".into(), read_only: false };
        volume("a/b").ensure_source().unwrap();
        assert!(dir.path().join("a/b").is_dir());
        std::fs::write(dir.path().join("f"), "x").unwrap();
        volume("f").ensure_source().unwrap();
        assert!(dir.path().join("f").is_file());
    }
}
