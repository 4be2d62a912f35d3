//! The Debian that the lab installs: a root file system made by mmdebstrap, kept in the cache.

mod sources;

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sha2::{Digest as _, Sha256};

use crate::build::Root;
use crate::error::TaskError;
use crate::run::{run, start_error, tail};

/// Debian 12. The tar is named after it.
const SUITE: &str = "bookworm";
const NAME: &str = "debian-12.tar.zst";

/// What is installed; recommended packages are not.
const PACKAGES: &[&str] = &[
    // A system that boots, with what updates its boot loader's menu when a kernel is updated.
    "systemd",
    "systemd-sysv",
    "dbus",
    "udev",
    "linux-image-cloud-amd64",
    "initramfs-tools",
    "zstd",
    "e2fsprogs",
    "dosfstools",
    "grub2-common",
    "grub-pc-bin",
    "grub-efi-amd64-bin",
    // First boot, network, operators.
    "cloud-init",
    "netplan.io",
    "systemd-resolved",
    "openssh-server",
    "iproute2",
    "ca-certificates",
    "sudo",
    "less",
    "vim-tiny",
];

/// What of the packages stays away: the machine that unpacks it may be emulated.
const LEFT_OUT: &[&str] = &[
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/info/*",
    "path-exclude=/usr/share/locale/*",
    "path-exclude=/usr/lib/grub/*/monolithic/*",
];

/// Before the kernel is installed: its initramfs is unpacked at every boot, which zstd makes quick.
const ESSENTIAL: &str = r#"mkdir -p "$1/etc/initramfs-tools/conf.d" && echo COMPRESS=zstd > "$1/etc/initramfs-tools/conf.d/compress""#;

/// What changes in the finished root; it gets the root's path.
const CUSTOMIZE: &str = include_str!("customize.sh");

/// Makes the root, or finds it in `cache` when it was made by the same recipe before.
///
/// # Errors
/// mmdebstrap or zstd fails, or a file cannot be written. An interrupted run leaves nothing that a later one would take.
pub(crate) fn build(cache: &Path) -> Result<Root, TaskError> {
    let sources = sources::debian(SUITE)?;
    let all = cache.join("debian-root");
    let directory = all.join(&recipe(&sources)[..16]);
    let path = directory.join(NAME);
    let of_digest = directory.join(format!("{NAME}.sha256"));
    if let Some(root) = kept(&path, &of_digest) {
        return Ok(root);
    }
    // Two labs may want it at once; the system lets go of the lock when its holder ends, however it ends.
    fs::create_dir_all(&all).map_err(TaskError::file("making", &all))?;
    let lock = all.join("lock");
    let held = fs::File::create(&lock).map_err(TaskError::file("making", &lock))?;
    held.lock().map_err(TaskError::file("locking", &lock))?;
    if let Some(root) = kept(&path, &of_digest) {
        return Ok(root);
    }
    println!("    about a minute on a fast line; kept in {}", directory.display());
    let partial = all.join("partial");
    // What an interrupted run left.
    drop(fs::remove_dir_all(&partial));
    for place in [&directory, &partial] {
        fs::create_dir_all(place).map_err(TaskError::file("making", place))?;
    }
    let made = make(&partial, &sources);
    let sha256 = made.and_then(|tar| {
        let sha256 = sha256_of(&tar)?;
        fs::rename(&tar, &path).map_err(TaskError::file("renaming", &tar))?;
        let written = partial.join("sha256");
        fs::write(&written, format!("{sha256}\n")).map_err(TaskError::file("writing", &written))?;
        fs::rename(&written, &of_digest).map_err(TaskError::file("renaming", &written))?;
        Ok(sha256)
    });
    drop(fs::remove_dir_all(&partial));
    let sha256 = sha256?;
    let size = fs::metadata(&path).map_err(TaskError::file("reading", &path))?.len();
    println!("    {} has {} MiB, sha256 {sha256}", path.display(), size >> 20);
    Ok(Root { path, sha256 })
}

/// The root, when both its files are there: the digest is written last.
fn kept(path: &Path, of_digest: &Path) -> Option<Root> {
    let sha256 = fs::read_to_string(of_digest).ok().filter(|_| path.exists())?;
    Some(Root { path: path.to_owned(), sha256: sha256.trim().to_owned() })
}

fn make(directory: &Path, sources: &str) -> Result<PathBuf, TaskError> {
    let plain = directory.join("root.tar");
    let log = directory.join("log");
    let file = fs::File::create(&log).map_err(TaskError::file("making", &log))?;
    let mut command = Command::new("mmdebstrap");
    command.args(["--variant=minbase", "--architectures=amd64"]);
    command.arg(format!("--include={}", PACKAGES.join(",")));
    command.args(LEFT_OUT.iter().map(|rule| format!("--dpkgopt={rule}")));
    command.arg(format!("--essential-hook={ESSENTIAL}"));
    // As text: under a user's own namespace mmdebstrap may not be able to read a script in the user's cache.
    command.arg(format!("--customize-hook={CUSTOMIZE}"));
    command.arg(SUITE).arg(&plain);
    if !sources.is_empty() {
        let list = directory.join("sources.list");
        fs::write(&list, sources).map_err(TaskError::file("writing", &list))?;
        command.arg(&list);
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file);
    let status = command.status().map_err(|source| start_error(&command, source))?;
    if !status.success() {
        let said = fs::read_to_string(&log).unwrap_or_default();
        return Err(TaskError::Command {
            command: format!("mmdebstrap {SUITE}"),
            status: status.to_string(),
            output: tail(&said, 12),
        });
    }
    let tar = directory.join(NAME);
    run(Command::new("zstd").args(["-q", "-T0", "-10", "--rm"]).arg(&plain).arg("-o").arg(&tar))?;
    Ok(tar)
}

/// Of all that the root is made from.
fn recipe(sources: &str) -> String {
    let parts = [SUITE, &PACKAGES.join(","), &LEFT_OUT.join(","), ESSENTIAL, CUSTOMIZE, sources];
    hex(&Sha256::digest(parts.join("\0")))
}

fn sha256_of(path: &Path) -> Result<String, TaskError> {
    let fault = || TaskError::file("reading", path);
    let mut file = fs::File::open(path).map_err(fault())?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(hex(&hasher.finalize())),
            Ok(read) => hasher.update(buffer.get(..read).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(fault()(error)),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_source_is_another_recipe() {
        assert_ne!(recipe("deb http://a bookworm main\n"), recipe("deb http://b bookworm main\n"));
    }

    #[test]
    fn a_cached_root_is_taken_as_it_is() {
        let cache = tempfile::tempdir().unwrap();
        let sources = sources::debian(SUITE).unwrap();
        let directory = cache.path().join("debian-root").join(&recipe(&sources)[..16]);
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join(NAME), "tar").unwrap();
        fs::write(directory.join(format!("{NAME}.sha256")), "abc\n").unwrap();
        let root = build(cache.path()).unwrap();
        assert_eq!((root.sha256.as_str(), fs::read(root.path).unwrap().as_slice()), ("abc", &b"tar"[..]));
    }
}
