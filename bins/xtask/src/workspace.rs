//! Where things are: the sources, what is built, what is cached.

use std::env;
use std::path::{Path, PathBuf};

/// The directories that tasks read and write.
#[derive(Clone, Debug)]
pub(crate) struct Workspace {
    /// The workspace's root directory.
    pub root: PathBuf,
    /// Cargo's target directory.
    pub target: PathBuf,
    /// What is slow to make and outlives `target`: `$XDG_CACHE_HOME/bootcode`, else `~/.cache/bootcode`.
    pub cache: PathBuf,
}

impl Workspace {
    /// The workspace that this program was built from.
    pub(crate) fn locate() -> Self {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = here.ancestors().nth(2).unwrap_or(here).to_owned();
        let target =
            env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |dir| root.join(dir));
        let cache = env::var_os("XDG_CACHE_HOME")
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
            .or_else(|| env::var_os("HOME").map(|home| Path::new(&home).join(".cache")))
            .unwrap_or_else(|| target.join("cache"))
            .join("bootcode");
        Self { root, target, cache }
    }

    /// Where `cargo xtask osie` puts the kernel and the initramfs.
    pub(crate) fn osie(&self) -> PathBuf {
        self.target.join("osie")
    }

    /// Where `cargo xtask images` puts the OCI layout of the actions.
    pub(crate) fn images(&self) -> PathBuf {
        self.target.join("images")
    }

    /// A program that `cargo build` made.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.target.join("debug").join(name)
    }
}
