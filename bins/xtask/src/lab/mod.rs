//! `cargo xtask lab`: a blank machine, real firmware, a real wire.
//!
//! ```text
//!   lab ── prepares on the host (packages, programs, OSIE, images, Debian root)
//!    └─ unshare ── inside: the first process of its own network, mounts and processes
//!         ├─ bootcode-server on br0 192.168.99.1 ── asked with the `bootcode` command
//!         └─ QEMU on tap0 ── serial.log
//! ```

mod accel;
mod beside;
mod child;
mod dir;
mod disk;
mod documents;
mod fresh;
mod loader;
mod local_boot;
mod machine;
mod namespace;
mod network;
mod operator;
pub(crate) mod plan;
mod provision;
mod qmp;
mod report;
mod server;
mod stages;
mod timeline;

use std::fs;
use std::path::Path;

use self::dir::LabDir;
use self::plan::{Accelerator, LabFlags, Scenario};
use self::provision::Given;
use crate::error::TaskError;
use crate::interrupt::Interrupt;
use crate::run::step;
use crate::setup::{self, Consent, Purpose};
use crate::workspace::Workspace;
use crate::{build, osie};

/// Provisions the machine.
///
/// # Errors
/// What is missing on this machine, what did not build, and why the machine was not provisioned.
pub(crate) fn lab(workspace: &Workspace, flags: &LabFlags, interrupt: &Interrupt) -> Result<(), TaskError> {
    flags.check()?;
    let dir = LabDir::of(workspace, flags.firmware.name());
    let _lock = dir.take()?;
    // The other DHCP server of `--dhcp proxy` is one that the tests use, and so are other boot loaders.
    let more = flags.dhcp == plan::Dhcp::Proxy || flags.loader != plan::Loader::Ipxe;
    let purpose = if more { Purpose::Tests } else { Purpose::Lab };
    setup::packages(purpose, Consent::from_flag(flags.yes))?;
    step("build the programs", || build::programs(workspace))?;
    step("OSIE", || osie::build(workspace))?;
    step("action images", || build::images(workspace))?;
    let root = step("Debian root", || build::debian_root(workspace))?;
    let accelerator = accel::probe(workspace, interrupt)?;
    let name = flags.firmware.name();
    println!(
        "==> lab --firmware {name} ({})",
        match accelerator {
            Accelerator::Kvm => "virtualised by /dev/kvm",
            Accelerator::Tcg => "emulated: /dev/kvm is not there, or does not boot a kernel",
        }
    );
    let root_sha256 = if flags.wrong_digest { "ba".repeat(32) } else { root.sha256 };
    let scenario =
        Scenario::Provision { flags: flags.clone(), accelerator, root_tar: root.path, root_sha256 };
    namespace::enter(&dir, &scenario, interrupt)
}

/// A server with defaults beside a dnsmasq.
///
/// # Errors
/// As [`lab`].
pub(crate) fn beside(
    workspace: &Workspace,
    consent: Consent,
    interrupt: &Interrupt,
) -> Result<(), TaskError> {
    let scenario = Scenario::Beside;
    let dir = LabDir::of(workspace, scenario.dir_name());
    let _lock = dir.take()?;
    setup::packages(Purpose::Tests, consent)?;
    step("build the programs", || build::programs(workspace))?;
    namespace::enter(&dir, &scenario, interrupt)
}

/// What `namespace::enter` starts: the scenario, as the first process of the namespaces.
///
/// # Errors
/// As [`lab`].
pub(crate) fn inside(workspace: &Workspace, plan: &Path, interrupt: &Interrupt) -> Result<(), TaskError> {
    interrupt.when_stdin_closes();
    let text = fs::read_to_string(plan).map_err(TaskError::file("reading", plan))?;
    let scenario: Scenario = serde_json::from_str(&text)
        .map_err(|error| TaskError::Answer { what: "the plan", found: error.to_string() })?;
    let dir = LabDir::of(workspace, scenario.dir_name());
    match scenario {
        Scenario::Provision { flags, accelerator, root_tar, root_sha256 } => {
            let given = Given { accelerator, root_tar, root_sha256 };
            provision::run(workspace, &dir, &flags, &given, interrupt)
        }
        Scenario::Beside => beside::run(workspace, &dir, interrupt),
    }
}
