//! How long to wait before a worker that ended is started again.

use std::time::Duration;

use crate::limits::{RESTART_FIRST, RESTART_LONGEST, RESTART_SETTLED};

/// Doubling waits between [`RESTART_FIRST`] and [`RESTART_LONGEST`].
#[derive(Debug, Clone, Default)]
pub struct Backoff {
    last: Option<Duration>,
}

impl Backoff {
    /// The wait after a worker that ran for `ran`; one that ran for [`RESTART_SETTLED`] starts the row anew.
    pub fn after(&mut self, ran: Duration) -> Duration {
        let wait = match self.last {
            Some(last) if ran < RESTART_SETTLED => (last * 2).min(RESTART_LONGEST),
            _ => RESTART_FIRST,
        };
        self.last = Some(wait);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_start_anew_after_a_long_run() {
        let mut backoff = Backoff::default();
        let quick = Duration::from_millis(10);
        let waits: Vec<u64> = (0..7).map(|_| backoff.after(quick).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30]);
        assert_eq!(backoff.after(RESTART_SETTLED).as_secs(), 1);
        assert_eq!(backoff.after(quick).as_secs(), 2);
    }
}
