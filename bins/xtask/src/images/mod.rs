//! `cargo xtask images`: the actions as an OCI image layout.
//!
//! ```text
//!   bootcode-actions, static ──────────────> layer "actions" ──┬─> disk-wipe, cloud-init-seed
//!   e2fsprogs, dosfstools, mkswap + libc ──> layer "mkfs" ─────┼─> disk-partition, install-root-fs
//!   GRUB's tools and modules + libraries ──> layer "grub" ─────┴─> install-grub
//! ```
//!
//! The layers are shared, so a machine fetches and unpacks each once. The same inputs give the same digests.

mod content;
mod layer;
mod layout;

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;

use bootcode_osie::build::PackageTree;

use crate::error::{TaskError, with_causes};
use crate::run::{cargo, run};
use crate::workspace::Workspace;

use self::layer::Layer;
use self::layout::{Image, Layout};

/// Bytes that all layers may have, unpacked: they stand in the memory of a machine that has 512 MiB of it.
const UNPACKED_BYTES: u64 = 40 << 20;

/// Where cargo puts static programs: beside those of OSIE, with which they share their dependencies.
const TARGET: &str = "x86_64-unknown-linux-gnu";
const PROFILE: &str = "machine";

/// Builds the images into `target/images`, and says what they are.
///
/// # Errors
/// A program does not compile, a package cannot be had, or the result is too large.
pub(crate) fn build(workspace: &Workspace) -> Result<(), TaskError> {
    let fetch = |names: &[&str]| {
        PackageTree::fetch(names, &workspace.cache)
            .map_err(|error| TaskError::Build { what: "the action images", message: with_causes(&error) })
    };
    let mkfs = fetch(&["e2fsprogs", "dosfstools", "util-linux"])?;
    let grub = fetch(&["grub-common", "grub2-common", "grub-pc-bin", "grub-efi-amd64-bin"])?;
    let program = program(workspace)?;
    let program = fs::read(&program).map_err(TaskError::file("reading", &program))?;

    let actions = content::actions(program);
    let mkfs = content::mkfs(&mkfs)?;
    let grub = content::grub(&grub, &mkfs)?;
    let unpacked = [&actions, &mkfs, &grub].map(content::Content::bytes).iter().sum::<u64>();
    if unpacked > UNPACKED_BYTES {
        return Err(TaskError::Check {
            check: "all layers fit into a small machine's memory",
            found: format!("{unpacked} bytes unpacked, {UNPACKED_BYTES} are allowed"),
        });
    }

    let layout = Layout::open(workspace.images())?;
    // Of this run alone: two labs at once must not write each other's layers.
    let scratch = workspace.target.join(format!("images.partial-{}", std::process::id()));
    fs::create_dir_all(&scratch).map_err(TaskError::file("making", &scratch))?;
    let actions = Layer::write(&actions, &scratch)?;
    let mkfs = Layer::write(&mkfs, &scratch)?;
    let grub = Layer::write(&grub, &scratch)?;
    let image = |name: &'static str, tag: &'static str, layers: &[&Layer]| Image {
        name,
        tag,
        layers: layers.iter().map(|layer| (*layer).clone()).collect(),
    };
    let images = [
        image("disk-wipe", "v3", &[&actions]),
        image("disk-partition", "v3", &[&mkfs, &actions]),
        image("install-root-fs", "v3", &[&mkfs, &actions]),
        image("install-grub", "v3", &[&mkfs, &grub, &actions]),
        image("cloud-init-seed", "v1", &[&actions]),
    ];
    let digests = layout.write(&images)?;
    for (image, digest) in images.iter().zip(digests) {
        println!("    {}:{} {digest}", image.name, image.tag);
    }
    let download: u64 = [&actions, &mkfs, &grub].map(|layer| layer.bytes.len() as u64).iter().sum();
    println!("    all layers: {} KiB to download, {} KiB unpacked", download >> 10, unpacked >> 10);
    fs::remove_dir_all(&scratch).map_err(TaskError::file("removing", &scratch))
}

/// The static multi-call program.
fn program(workspace: &Workspace) -> Result<PathBuf, TaskError> {
    let directory = workspace.target.join("static");
    let mut command = cargo();
    command.args(["build", "--quiet", "--profile", PROFILE, "--target", TARGET, "-p", "bootcode-actions"]);
    command.arg("--target-dir").arg(&directory).current_dir(&workspace.root).stdout(Stdio::null());
    // With an explicit target these flags reach the program only; procedural macros cannot be static.
    command.env("CARGO_ENCODED_RUSTFLAGS", "-Ctarget-feature=+crt-static").env_remove("RUSTFLAGS");
    run(&mut command)?;
    Ok(directory.join(TARGET).join(PROFILE).join("bootcode-actions"))
}
