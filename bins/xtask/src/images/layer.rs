//! A layer: a compressed tar with its two digests.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, Header};

use super::content::{Content, Node};
use crate::error::TaskError;
use crate::run::{start_error, tail};

/// A finished layer.
#[derive(Clone, Debug)]
pub(crate) struct Layer {
    /// Of the plain tar: `diff_id` of the image's configuration.
    pub(crate) diff_id: String,
    /// Of what is sent.
    pub(crate) digest: String,
    /// What is sent: gzip, which every container runtime takes.
    pub(crate) bytes: Vec<u8>,
}

impl Layer {
    /// Makes the layer; its files are named and dated alike whenever it is made.
    ///
    /// # Errors
    /// gzip fails, or a file cannot be written.
    pub(crate) fn write(content: &Content, scratch: &Path) -> Result<Self, TaskError> {
        let plain = plain(content).map_err(TaskError::file("writing a layer in", scratch))?;
        let path = scratch.join("layer.tar");
        let mut file = fs::File::create(&path).map_err(TaskError::file("making", &path))?;
        file.write_all(&plain).map_err(TaskError::file("writing", &path))?;
        drop(file);
        // -n: without name and time, so that the same tar gives the same bytes.
        let mut command = Command::new("gzip");
        command.args(["-9", "-n", "-c"]).arg(&path).stdin(Stdio::null());
        let output = command.output().map_err(|source| start_error(&command, source))?;
        if !output.status.success() {
            return Err(TaskError::Command {
                command: "gzip".into(),
                status: output.status.to_string(),
                output: tail(&String::from_utf8_lossy(&output.stderr), 3),
            });
        }
        let bytes = output.stdout;
        Ok(Self { diff_id: digest(&plain), digest: digest(&bytes), bytes })
    }
}

/// `sha256:` and 64 hexadecimal digits.
pub(crate) fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold("sha256:".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

fn plain(content: &Content) -> io::Result<Vec<u8>> {
    let mut tar = Builder::new(Vec::new());
    for (path, node) in &content.0 {
        let mut header = Header::new_gnu();
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(0);
        match node {
            Node::Directory(mode) => {
                header.set_entry_type(EntryType::Directory);
                header.set_mode(*mode);
                tar.append_data(&mut header, format!("{path}/"), io::empty())?;
            }
            Node::File(mode, bytes) => {
                header.set_mode(*mode);
                header.set_size(bytes.len() as u64);
                tar.append_data(&mut header, path, bytes.as_slice())?;
            }
            Node::Link(to) => {
                header.set_entry_type(EntryType::Symlink);
                header.set_mode(0o777);
                tar.append_link(&mut header, path, to)?;
            }
        }
    }
    tar.into_inner()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_content_gives_the_same_layer_and_it_reads_back() {
        let scratch = tempfile::tempdir().unwrap();
        let content = super::super::content::actions(b"\x7fELF".to_vec());
        let first = Layer::write(&content, scratch.path()).unwrap();
        let second = Layer::write(&content, scratch.path()).unwrap();
        assert_eq!((&first.digest, &first.diff_id), (&second.digest, &second.diff_id));
        assert_ne!(first.digest, first.diff_id);
        let tar = plain(&content).unwrap();
        let mut archive = tar::Archive::new(tar.as_slice());
        let entries: Vec<_> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                (entry.path().unwrap().display().to_string(), entry.header().mode().unwrap(), entry.size())
            })
            .collect();
        assert_eq!(entries[0], ("bootcode-actions".to_owned(), 0o755, 4));
        assert!(entries.contains(&("mnt/bootcode/".to_owned(), 0o755, 0)), "{entries:?}");
        assert!(entries.contains(&("tmp/".to_owned(), 0o1777, 0)), "{entries:?}");
    }
}
