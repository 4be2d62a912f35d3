//! `cargo xtask test`: all that continuous integration runs, and with `--all` every promise besides.

use std::fs;

use serde_json::Value;

use crate::docker;
use crate::error::TaskError;
use crate::interrupt::Interrupt;
use crate::kickstart;
use crate::lab::plan::{Dhcp, Firmware, LabFlags, Loader};
use crate::lab::{self};
use crate::run::{cargo, has_program, run, step};
use crate::setup::{self, Consent, Purpose};
use crate::sim::{self, SimFlags};
use crate::workspace::Workspace;

/// Flags of `cargo xtask test`.
#[derive(clap::Args, Clone, Copy, Debug)]
pub(crate) struct TestFlags {
    /// Everything: the other firmware and boot loaders, little memory, a crashing server, a lost data directory, a broken part,
    /// another DHCP server on the wire.
    #[arg(long)]
    pub all: bool,
    /// Install missing packages without asking.
    #[arg(long)]
    pub yes: bool,
}

/// Runs the tests, the quick ones first; ends at the first that fails.
///
/// # Errors
/// Of the step that failed.
pub(crate) fn test(workspace: &Workspace, flags: TestFlags, interrupt: &Interrupt) -> Result<(), TaskError> {
    let consent = Consent::from_flag(flags.yes);
    setup::packages(Purpose::Tests, consent)?;
    let pykickstart = kickstart::ensure(workspace)?;
    let cargo_step = |name: &str, arguments: &[&str]| {
        step(name, || {
            run(cargo()
                .current_dir(&workspace.root)
                .env("BOOTCODE_REAL_PEERS", "1")
                .env("BOOTCODE_PYKICKSTART", &pykickstart)
                .args(arguments))
        })
    };
    cargo_step("formatting", &["fmt", "--all", "--check"])?;
    cargo_step(
        "clippy",
        &["clippy", "--quiet", "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"],
    )?;
    step("a Docker engine", || docker::ensure(workspace))?;
    let runner: &[&str] = if has_program("cargo-nextest") {
        &["nextest", "run"]
    } else {
        &["test", "--lib", "--bins", "--tests"]
    };
    cargo_step("tests", &[runner, &["--workspace", "--all-features"]].concat())?;
    cargo_step("documentation's examples", &["test", "--quiet", "--workspace", "--all-features", "--doc"])?;
    step("simulation", || sim::sim(workspace, SimFlags::EVERY_TIME))?;
    if has_program("cargo-deny") {
        cargo_step("dependencies", &["deny", "check", "bans", "licenses", "sources"])?;
    } else {
        println!("==> dependencies: skipped, cargo-deny is not installed (cargo install cargo-deny)");
    }
    let lab = |name: &str, flags: LabFlags| step(name, || lab::lab(workspace, &flags, interrupt));
    lab("lab --firmware bios", LabFlags::unattended())?;
    if flags.all {
        lab("lab --firmware uefi", LabFlags { firmware: Firmware::Uefi, ..LabFlags::unattended() })?;
        lab("lab --firmware uefi-http", LabFlags { firmware: Firmware::UefiHttp, ..LabFlags::unattended() })?;
        lab("lab --dhcp proxy", LabFlags { dhcp: Dhcp::Proxy, ..LabFlags::unattended() })?;
        let pxelinux = LabFlags { loader: Loader::Pxelinux, ..LabFlags::unattended() };
        lab("lab --firmware bios --loader pxelinux", pxelinux)?;
        let grub = LabFlags { firmware: Firmware::Uefi, loader: Loader::Grub, ..LabFlags::unattended() };
        lab("lab --firmware uefi --loader grub", grub)?;
        lab("lab --memory 512", LabFlags { memory: 512, ..LabFlags::unattended() })?;
        let crash = LabFlags { crash_server: Some("install-root-fs".into()), ..LabFlags::unattended() };
        lab("lab --crash-server install-root-fs", crash)?;
        lab("lab --fresh-store", LabFlags { fresh_store: true, ..LabFlags::unattended() })?;
        step("a broken part fails the lab", || broken(workspace, interrupt))?;
        step("beside another DHCP server", || lab::beside(workspace, consent, interrupt))?;
    }
    println!("all green");
    Ok(())
}

/// A root file system that is not what its document says must never be called installed.
fn broken(workspace: &Workspace, interrupt: &Interrupt) -> Result<(), TaskError> {
    const CHECK: &str = "a wrong digest fails the installation";
    let failed = |found: String| TaskError::Check { check: CHECK, found };
    match lab::lab(workspace, &LabFlags { wrong_digest: true, ..LabFlags::unattended() }, interrupt) {
        Ok(()) => return Err(failed("the machine was provisioned".into())),
        Err(TaskError::Inside { .. }) => {}
        Err(error) => return Err(error),
    }
    let path = workspace.target.join("lab/bios/report.json");
    let text = fs::read_to_string(&path).map_err(TaskError::file("reading", &path))?;
    let report: Value = serde_json::from_str(&text).map_err(|error| failed(error.to_string()))?;
    let cause = report["cause"].as_str().unwrap_or_default();
    if report["stage"] == "installed" && cause.contains("install-root-fs") {
        println!("    as it must: {cause}");
        return Ok(());
    }
    Err(failed(format!("the lab failed at {} because of {cause:?}", report["stage"])))
}
