//! `cargo xtask bench dhcp`: the server, built as it is shipped, beside Kea, driven by the load in `benches/dhcp`.

use crate::error::TaskError;
use crate::run::{cargo, run, step};
use crate::setup::{self, Consent, Purpose};
use crate::workspace::Workspace;

/// Builds the server, sees that Kea is there, and measures both.
///
/// # Errors
/// A figure was missed; or Kea, root or a second core is missing.
pub(crate) fn dhcp(workspace: &Workspace, parts: &[String]) -> Result<(), TaskError> {
    setup::packages(Purpose::Bench, Consent::from_flag(false))?;
    let root = &workspace.root;
    step("build of the server as it is shipped", || {
        run(cargo().current_dir(root).args(["build", "--profile", "dist", "-p", "bootcode-server"]))
    })?;
    let program = workspace.target.join("dist/bootcode-server");
    run(cargo()
        .current_dir(root)
        .args(["bench", "-p", "bootcode-benches", "--bench", "dhcp", "--"])
        .args(parts)
        .env("BENCH_SERVER_PROGRAM", program))
}
