//! Our own two programs, built static: there is no loader for them before root is in place.

use std::fs;
use std::path::{Path, PathBuf};

use super::command::{tool, watched};
use super::error::BuildError;
use super::options::BuildOptions;

const TARGET: &str = "x86_64-unknown-linux-gnu";
const PROFILE: &str = "machine";

/// In cargo's target directory: cargo's own `osie` of that profile would stand where the finished files go.
const DIRECTORY: &str = "static";

/// The finished programs.
pub(super) struct Programs {
    pub(super) init: Vec<u8>,
    pub(super) worker: Vec<u8>,
}

impl Programs {
    /// Builds `bootcode-init`, and `bootcode-worker` unless the options bring another worker.
    pub(super) fn build(options: &BuildOptions) -> Result<Self, BuildError> {
        let mut command = tool(&options.cargo);
        command.args([
            "build",
            "--profile",
            PROFILE,
            "--target",
            TARGET,
            "-p",
            "bootcode-osie",
            "--bin",
            "bootcode-init",
        ]);
        if options.worker.is_none() {
            command.args(["-p", "bootcode-worker-bin", "--bin", "bootcode-worker"]);
            // OSIE has no Docker to speak to, so the worker leaves that runtime out.
            command.args(["--no-default-features", "--features", "bootcode-worker-bin/oci"]);
        }
        // With an explicit target these flags reach the programs only; procedural macros cannot be static.
        command.env("CARGO_ENCODED_RUSTFLAGS", "-Ctarget-feature=+crt-static").env_remove("RUSTFLAGS");
        let directory = options.target.join(DIRECTORY);
        command.arg("--target-dir").arg(&directory).current_dir(&options.workspace);
        watched(&mut command, "cargo (from rustup)")?;
        let built = directory.join(TARGET).join(PROFILE);
        let worker = options.worker.clone().unwrap_or_else(|| built.join("bootcode-worker"));
        Ok(Self { init: read_static(built.join("bootcode-init"))?, worker: read_static(worker)? })
    }
}

fn read_static(path: PathBuf) -> Result<Vec<u8>, BuildError> {
    let bytes = fs::read(&path).map_err(BuildError::file("read", &path))?;
    check_static(&path, &bytes)?;
    Ok(bytes)
}

/// Refuses a program that is not ELF for x86-64, or that names a loader (a program header PT_INTERP).
fn check_static(path: &Path, bytes: &[u8]) -> Result<(), BuildError> {
    let not_static = |reason| BuildError::NotStatic { path: path.to_owned(), reason };
    if bytes.get(..6) != Some(b"\x7fELF\x02\x01") || half(bytes, 18) != Some(EM_X86_64) {
        return Err(not_static("no 64-bit x86 ELF file"));
    }
    let headers = program_header_types(bytes).ok_or_else(|| not_static("damaged ELF header"))?;
    if headers.contains(&PT_INTERP) { Err(not_static("it names a loader")) } else { Ok(()) }
}

const EM_X86_64: u16 = 62;
const PT_INTERP: u32 = 3;

fn program_header_types(bytes: &[u8]) -> Option<Vec<u32>> {
    let start = usize::try_from(u64::from_le_bytes(bytes.get(32..40)?.try_into().ok()?)).ok()?;
    let (size, count) = (usize::from(half(bytes, 54)?), usize::from(half(bytes, 56)?));
    let kind = |index: usize| {
        let at = start.checked_add(index.checked_mul(size)?)?;
        Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
    };
    (0..count).map(kind).collect()
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elf(kinds: &[u32]) -> Vec<u8> {
        let mut bytes = b"\x7fELF\x02\x01".to_vec();
        bytes.resize(64 + kinds.len() * 56, 0);
        bytes[18] = 62;
        bytes[32] = 64;
        bytes[54] = 56;
        bytes[56] = u8::try_from(kinds.len()).unwrap();
        for (index, kind) in kinds.iter().enumerate() {
            bytes[64 + index * 56..][..4].copy_from_slice(&kind.to_le_bytes());
        }
        bytes
    }

    #[test]
    fn only_a_whole_program_without_a_loader_is_taken() {
        let mut other_machine = elf(&[1]);
        other_machine[18] = 183;
        let cases = [
            (elf(&[1, 2]), true),
            (elf(&[1, 3]), false),
            (elf(&[1])[..70].to_vec(), true),
            (elf(&[1])[..66].to_vec(), false),
            (other_machine, false),
            (b"#!/bin/sh\n".to_vec(), false),
            (Vec::new(), false),
        ];
        for (index, (bytes, taken)) in cases.iter().enumerate() {
            assert_eq!(check_static(Path::new("x"), bytes).is_ok(), *taken, "case {index}");
        }
    }

    #[test]
    fn this_test_itself_is_not_static_and_is_refused() {
        let path = std::env::current_exe().unwrap();
        assert!(matches!(read_static(path), Err(BuildError::NotStatic { reason: "it names a loader", .. })));
    }
}
