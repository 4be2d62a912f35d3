//! What a build may be told.

use std::env;
use std::path::{Path, PathBuf};

/// Where a build reads, writes and keeps things.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct BuildOptions {
    /// The workspace, where cargo is run.
    pub workspace: PathBuf,
    /// Cargo's target directory.
    pub target: PathBuf,
    /// The directory that gets `vmlinuz-x86_64` and `initramfs-x86_64`.
    pub out: PathBuf,
    /// What is slow to get is kept here: downloaded packages, unpacked trees.
    pub cache: PathBuf,
    /// The cargo to build our programs with.
    pub cargo: PathBuf,
    /// A static worker to take instead of building `bootcode-worker`.
    pub worker: Option<PathBuf>,
    /// Packages of the kernel, the first that apt knows is taken: Debian's, Ubuntu's.
    pub kernel_packages: Vec<String>,
}

impl BuildOptions {
    /// The usual places for `workspace`: `CARGO_TARGET_DIR` or `target`, `osie` in it, `XDG_CACHE_HOME/bootcode`
    /// or `~/.cache/bootcode`, and the cargo in `CARGO` or the path.
    pub fn for_workspace(workspace: &Path) -> Self {
        let from_env = |key: &str| env::var_os(key).filter(|value| !value.is_empty()).map(PathBuf::from);
        let target =
            from_env("CARGO_TARGET_DIR").map_or_else(|| workspace.join("target"), |dir| workspace.join(dir));
        let cache = from_env("XDG_CACHE_HOME")
            .or_else(|| from_env("HOME").map(|home| home.join(".cache")))
            .unwrap_or_else(|| target.join("cache"));
        Self {
            workspace: workspace.to_owned(),
            out: target.join("osie"),
            target,
            cache: cache.join("bootcode"),
            cargo: from_env("CARGO").unwrap_or_else(|| "cargo".into()),
            worker: None,
            kernel_packages: vec!["linux-image-cloud-amd64".to_owned(), "linux-image-virtual".to_owned()],
        }
    }
}
