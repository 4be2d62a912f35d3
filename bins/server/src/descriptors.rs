//! How many files and sockets this process may have open.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// 10,000 machines may boot at once: a TFTP transfer and two connections by HTTP of each, with a socket and a file. Besides them there are the store,
/// the journal, and files that are kept in memory.
const WANTED: u64 = 3 * 2 * 10_000 + 4096;

/// Raises the bound as far as this process may, and says so where that is less than a large fleet needs.
pub(crate) fn raise() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| {
        // Only root may raise the hard bound.
        let most = hard.max(WANTED);
        if setrlimit(Resource::RLIMIT_NOFILE, most, most).is_ok() {
            return Ok((soft, most));
        }
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
        Ok((soft, hard))
    });
    match raised {
        Ok((from, to)) if to < WANTED => {
            tracing::warn!(
                from,
                to,
                wanted = WANTED,
                "few open files are allowed: some thousand machines at once need LimitNOFILE= or `ulimit -Hn`"
            );
        }
        Ok((from, to)) if from == to => tracing::debug!(to, "open files that are allowed are enough"),
        Ok((from, to)) => tracing::info!(from, to, "open files that are allowed were raised"),
        Err(error) => tracing::warn!(%error, "the number of open files that are allowed cannot be raised"),
    }
}
