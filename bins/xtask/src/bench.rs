//! `cargo xtask bench dhcp`: a release build of the server beside Kea, driven by the load in `benches/dhcp`.

use crate::error::TaskError;
use crate::run::{cargo, run, step};
use crate::setup::{self, Consent, Purpose};
use crate::workspace::Workspace;

/// Builds the server, sees that Kea is there, and measures both.
///
/// # Errors
/// A figure was missed; or Kea, root or a second core is missing.
pub(crate) fn dhcp(workspace: &Workspace) -> Result<(), TaskError> {
    setup::packages(Purpose::Bench, Consent::from_flag(false))?;
    let root = &workspace.root;
    step("release build of the server", || {
        run(cargo().current_dir(root).args(["build", "--release", "-p", "bootcode-server"]))
    })?;
    let program = workspace.target.join("release/bootcode-server");
    run(cargo()
        .current_dir(root)
        .args(["bench", "-p", "bootcode-benches", "--bench", "dhcp"])
        .env("BENCH_SERVER_PROGRAM", program))
}
