//! How many files and sockets this process may have open.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// 10,000 machines may boot at once: a TFTP transfer of each has a socket and a file.
const TRANSFERS: u64 = 2 * 10_000;
/// The store, the journal, and files that are kept in memory.
const OTHERS: u64 = 4096;

/// Raises the bound as far as this process may, and says so where that is less than a large fleet needs, with so many connections of
/// machines over HTTP.
pub(crate) fn raise(connections: usize) {
    let wanted = TRANSFERS + 2 * connections as u64 + OTHERS;
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| {
        // Only root may raise the hard bound.
        let most = hard.max(wanted);
        if setrlimit(Resource::RLIMIT_NOFILE, most, most).is_ok() {
            return Ok((soft, most));
        }
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
        Ok((soft, hard))
    });
    match raised {
        Ok((from, to)) if to < wanted => {
            tracing::warn!(
                from,
                to,
                wanted,
                "few open files are allowed: so many machines at once need LimitNOFILE= or `ulimit -Hn`, or fewer \
                 connections by http.connections.total"
            );
        }
        Ok((from, to)) if from == to => tracing::debug!(to, "open files that are allowed are enough"),
        Ok((from, to)) => tracing::info!(from, to, "open files that are allowed were raised"),
        Err(error) => tracing::warn!(%error, "the number of open files that are allowed cannot be raised"),
    }
}
