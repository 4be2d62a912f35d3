//! `cargo xtask bench dhcp|http|metadata|tftp`: the server, built as it is shipped, beside its peer, driven by the load in `benches/`.

use crate::error::TaskError;
use crate::run::{cargo, run, step};
use crate::setup::{self, Consent, Purpose};
use crate::workspace::Workspace;

/// The benchmarks that have a peer.
pub(crate) const BESIDE: [&str; 4] = ["dhcp", "http", "metadata", "tftp"];

/// Builds the server, sees that its peer is there, and measures both.
///
/// # Errors
/// A figure was missed; or the peer, root or a second core is missing.
pub(crate) fn beside(workspace: &Workspace, bench: &str, parts: &[String]) -> Result<(), TaskError> {
    setup::packages(Purpose::Bench, Consent::from_flag(false))?;
    let root = &workspace.root;
    step("build of the server as it is shipped", || {
        run(cargo().current_dir(root).args(["build", "--profile", "dist", "-p", "bootcode-server"]))
    })?;
    let program = workspace.target.join("dist/bootcode-server");
    run(cargo()
        .current_dir(root)
        .args(["bench", "-p", "bootcode-benches", "--bench", bench, "--"])
        .args(parts)
        .env("BENCH_SERVER_PROGRAM", program))
}
