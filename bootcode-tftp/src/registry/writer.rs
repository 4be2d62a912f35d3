//! A layout that is written: what is pushed is there whole, or not at all, also after a crash.

use std::{
    fs::{self, File, Permissions},
    io::{self, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    sync::{Mutex, PoisonError},
    time::SystemTime,
};

use serde_json::{Map, Value, json};
use tempfile::NamedTempFile;

#[cfg(feature = "upstream")]
use super::index::UPSTREAM;
use super::{
    Digest, Layout, LayoutError,
    index::{Descriptor, REF_NAME},
    upload::Uploads,
    wanted::Wanted,
};
use crate::limits;

/// What is not whole yet, in the layout's own file system, so that a rename makes it visible.
const PARTS: &str = ".uploads";
const PART: &str = "part-";

/// The one writer of a layout. Another program may write to it only while nobody pushes: the index is read, changed and replaced.
#[derive(Debug)]
pub struct Writer {
    layout: Layout,
    index: Mutex<()>,
    pub(super) uploads: Uploads,
    pub(super) wanted: Wanted,
}

impl Writer {
    /// Makes the layout ready to be written, and removes what a crash left of uploads; blocks for a moment.
    ///
    /// # Errors
    /// [`LayoutError::Io`] where it cannot be written.
    pub fn open(layout: Layout) -> Result<Self, LayoutError> {
        let ready = || {
            let root = layout.root();
            let (parts, blobs) = (root.join(PARTS), root.join("blobs/sha256"));
            fs::create_dir_all(&parts)?;
            fs::create_dir_all(&blobs)?;
            for part in fs::read_dir(&parts)? {
                let part = part?;
                if part.file_name().as_encoded_bytes().starts_with(PART.as_bytes()) {
                    fs::remove_file(part.path())?;
                }
            }
            for directory in [&parts, &blobs, &root.join("blobs"), root] {
                sync_directory(directory)?;
            }
            Ok(())
        };
        ready().map_err(|source| layout.io(PARTS, source))?;
        Ok(Self { layout, index: Mutex::default(), uploads: Uploads::default(), wanted: Wanted::default() })
    }

    /// The layout, for reading.
    #[must_use]
    pub const fn layout(&self) -> &Layout {
        &self.layout
    }

    /// A file that is no part of the layout yet; blocks.
    pub(super) fn part(&self) -> Result<NamedTempFile, LayoutError> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(PART).rand_bytes(24).permissions(Permissions::from_mode(0o644));
        builder.tempfile_in(self.layout.root().join(PARTS)).map_err(|source| self.layout.io(PARTS, source))
    }

    /// Makes `part`, whose digest this is, a blob; blocks. One that is there and good stays, for somebody may be reading it.
    pub(super) fn keep(&self, digest: &Digest, part: NamedTempFile) -> Result<(), LayoutError> {
        self.wanted.mark(digest, SystemTime::now());
        match self.layout.blob_blocking(digest) {
            Ok(Some(_)) => return Ok(()),
            Ok(None) | Err(LayoutError::Corrupt { .. }) => {}
            Err(error) => return Err(error),
        }
        let file = format!("blobs/sha256/{}", digest.hex());
        self.replace(&file, part)?;
        self.layout.trust(digest)
    }

    /// Keeps a manifest as a blob, and under a name where there is a tag; blocks.
    pub(super) fn put(
        &self,
        digest: &Digest,
        media_type: &str,
        bytes: &[u8],
        name: Option<(&str, &str)>,
    ) -> Result<(), LayoutError> {
        self.keep_bytes(digest, bytes)?;
        let Some(name) = name else { return Ok(()) };
        let descriptor = json!({
            "mediaType": media_type, "digest": digest.as_str(), "size": bytes.len(),
            "annotations": {REF_NAME: format!("{}:{}", name.0, name.1)},
        });
        self.change(|manifests| {
            manifests.retain(|listed| !is_named(listed, name));
            manifests.push(descriptor);
            true
        })
        .map(drop)
    }

    /// As [`Writer::put`], of what came from another registry and not from an operator, whose name of it stays what it is; blocks.
    #[cfg(feature = "upstream")]
    pub(super) fn put_from(
        &self,
        upstream: &str,
        digest: &Digest,
        media_type: &str,
        bytes: &[u8],
        name: Option<(&str, &str)>,
    ) -> Result<(), LayoutError> {
        self.keep_bytes(digest, bytes)?;
        let Some(name) = name else { return Ok(()) };
        let descriptor = json!({
            "mediaType": media_type, "digest": digest.as_str(), "size": bytes.len(),
            "annotations": {REF_NAME: format!("{}:{}", name.0, name.1), UPSTREAM: upstream},
        });
        self.change(|manifests| {
            let listed = manifests.iter().rev().find(|listed| is_named(listed, name));
            if listed.is_some_and(|listed| listed["annotations"][UPSTREAM].is_null() || *listed == descriptor)
            {
                return false;
            }
            manifests.retain(|listed| !is_named(listed, name));
            manifests.push(descriptor);
            true
        })
        .map(drop)
    }

    fn keep_bytes(&self, digest: &Digest, bytes: &[u8]) -> Result<(), LayoutError> {
        let mut part = self.part()?;
        part.write_all(bytes).map_err(|source| self.layout.io(PARTS, source))?;
        self.keep(digest, part)
    }

    /// Takes a name off the index; whether it was there. What it alone reached goes with a [`Writer::sweep`]. Blocks.
    pub(super) fn untag(&self, name: (&str, &str)) -> Result<bool, LayoutError> {
        self.change(|manifests| {
            let before = manifests.len();
            manifests.retain(|listed| !is_named(listed, name));
            manifests.len() < before
        })
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Value>) -> bool) -> Result<bool, LayoutError> {
        let _only = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        let invalid = |why: String| self.layout.invalid("index.json", why);
        let bytes = self.layout.index_bytes()?;
        let mut index: Map<String, Value> =
            serde_json::from_slice(&bytes).map_err(|error| invalid(error.to_string()))?;
        let manifests = index.entry("manifests").or_insert_with(|| json!([])).as_array_mut();
        if !change(manifests.ok_or_else(|| invalid("`manifests` is no list".to_owned()))?) {
            return Ok(false);
        }
        let bytes = serde_json::to_vec(&index).map_err(|error| invalid(error.to_string()))?;
        if bytes.len() as u64 > limits::MANIFEST_BYTES {
            return Err(LayoutError::IndexFull { layout: self.layout.root().display().to_string() });
        }
        let mut part = self.part()?;
        part.write_all(&bytes).map_err(|source| self.layout.io("index.json", source))?;
        self.replace("index.json", part).map(|()| true)
    }

    /// Puts `part` in the place of a file: durable before it is seen, and the seeing of it durable before this returns.
    fn replace(&self, file: &str, part: NamedTempFile) -> Result<(), LayoutError> {
        let path = self.layout.root().join(file);
        let replace = || {
            part.as_file().sync_all()?;
            part.persist(&path).map_err(|error| error.error)?;
            path.parent().map_or(Ok(()), sync_directory)
        };
        replace().map_err(|source| self.layout.io(file, source))
    }
}

fn is_named(listed: &Value, name: (&str, &str)) -> bool {
    serde_json::from_value::<Descriptor>(listed.clone())
        .is_ok_and(|descriptor| descriptor.name() == Some(name))
}

fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}
