//! `cargo xtask fuzz`: cargo-fuzz over the targets of `fuzz/`, on the stable toolchain.

use std::fs;

use crate::error::TaskError;
use crate::run::{cargo, has_program, run, step};
use crate::workspace::Workspace;

/// Flags of `cargo xtask fuzz`.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct FuzzFlags {
    /// Minutes for each target.
    #[arg(long, default_value_t = 5)]
    pub minutes: u32,
    /// One target alone; without it all, one after the other.
    pub target: Option<String>,
}

/// Fuzzes; what was found stands in `fuzz/artifacts`.
///
/// # Errors
/// A target failed, does not exist, or cargo-fuzz can not be installed.
pub(crate) fn fuzz(workspace: &Workspace, flags: &FuzzFlags) -> Result<(), TaskError> {
    let folder = workspace.root.join("fuzz/fuzz_targets");
    let entries = fs::read_dir(&folder).map_err(TaskError::file("reading", &folder))?;
    let mut targets: Vec<String> = entries
        .filter_map(|entry| Some(entry.ok()?.path().file_stem()?.to_string_lossy().into_owned()))
        .collect();
    targets.sort();
    if let Some(wanted) = &flags.target {
        if !targets.contains(wanted) {
            let found = format!("there is no target `{wanted}`, there are {}", targets.join(", "));
            return Err(TaskError::Check { check: "the fuzz target exists", found });
        }
        targets = vec![wanted.clone()];
    }
    if !has_program("cargo-fuzz") {
        step("install cargo-fuzz", || run(cargo().args(["install", "--locked", "cargo-fuzz"])))?;
    }
    let corpora = workspace.target.join("fuzz-corpus");
    for target in targets {
        // New inputs stay outside the sources; those that are committed are read first.
        let grown = corpora.join(&target);
        fs::create_dir_all(&grown).map_err(TaskError::file("making", &grown))?;
        let committed = workspace.root.join("fuzz/corpus").join(&target);
        step(&format!("fuzz {target}"), || {
            // Sanitizers need a nightly toolchain; there is no unsafe code of ours for them to look at.
            run(cargo()
                .current_dir(&workspace.root)
                .args(["fuzz", "run", "-s", "none", &target])
                .args([&grown, &committed])
                .args(["--", &format!("-max_total_time={}", flags.minutes * 60), "-max_len=4096"]))
        })?;
    }
    Ok(())
}
