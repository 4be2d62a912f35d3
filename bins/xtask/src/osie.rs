//! `cargo xtask osie`: the in-memory operating system in `target/osie`, and beside it what boots a UEFI machine's own disk.

use bootcode_osie::BuildOptions;

use crate::disk_loader;
use crate::error::{TaskError, with_causes};
use crate::workspace::Workspace;

/// Builds what is out of date.
///
/// # Errors
/// What its builder says.
pub(crate) fn build(workspace: &Workspace) -> Result<(), TaskError> {
    let mut options = BuildOptions::for_workspace(&workspace.root);
    options.target.clone_from(&workspace.target);
    options.out = workspace.osie();
    options.cache.clone_from(&workspace.cache);
    let built =
        bootcode_osie::build(&options).map_err(|error| TaskError::Osie { message: with_causes(&error) })?;
    disk_loader::build(workspace)?;
    let mib = |bytes: u64| format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20));
    println!(
        "    kernel {} {}, initramfs {}, together {} of at most 40 MiB",
        built.kernel_release,
        mib(built.kernel_bytes),
        mib(built.initramfs_bytes),
        mib(built.kernel_bytes + built.initramfs_bytes)
    );
    Ok(())
}
