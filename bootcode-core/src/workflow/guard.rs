//! The checks that keep a workflow right, by name, so that the simulation can prove of each that it would be missed.

/// A check of the rules or of the engine.
///
/// Always holds in what is shipped; with the feature `testing`, `workflow::without` switches one off on its thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(
    not(any(test, feature = "testing")),
    allow(unreachable_pub, reason = "public with `testing` only")
)]
#[cfg_attr(not(feature = "engine"), allow(dead_code, reason = "some are the engine's"))]
#[non_exhaustive]
pub enum Guard {
    /// A report of another attempt than the open one is refused.
    ReportOfOpenAttempt,
    /// A report of another machine than the one that was handed the attempt is refused.
    ReportOfOwnMachine,
    /// A report that was counted before is not counted again.
    ReportOnce,
    /// While an attempt is open, none is handed out.
    OneOpenAttempt,
    /// What has ended or stopped hands nothing out.
    NothingAfterTheEnd,
    /// What is held hands nothing out.
    NothingWhileHeld,
    /// An action is handed to the machine of its task alone.
    OwnTask,
    /// What nobody started in time expires.
    Expiry,
    /// Deadlines are enforced while no worker calls.
    Deadlines,
    /// Workers have some time after the server's start to report what ended while it was away.
    StartGrace,
    /// Another boot of the machine interrupts the open attempt.
    BootInterrupts,
    /// After a cancel no attempt is handed out.
    CancelStops,
    /// An action is tried again `retries` times, no more.
    RetriesAreCounted,
    /// Disks are in the log before the attempt that writes them.
    DisksArmedFirst,
    /// A disk that is neither blank nor named is not armed.
    BlankOrNamed,
    /// What wrote in this boot makes another workflow wait for the next boot, which looks at the disks anew.
    LookedAtAnew,
    /// A machine has one open workflow that writes.
    OneWriterAMachine,
    /// What another writer was first with is decided again.
    DecidedAgain,
    /// A commit whose answer was lost is looked for in the log.
    LostAnswerLookedFor,
    /// A boot token opens one boot's session.
    BootTokenOnce,
    /// The session of an earlier boot is refused.
    SessionOfThisBoot,
}

impl Guard {
    /// All of them.
    #[cfg(any(test, feature = "testing"))]
    pub const ALL: [Self; 21] = [
        Self::ReportOfOpenAttempt,
        Self::ReportOfOwnMachine,
        Self::ReportOnce,
        Self::OneOpenAttempt,
        Self::NothingAfterTheEnd,
        Self::NothingWhileHeld,
        Self::OwnTask,
        Self::Expiry,
        Self::Deadlines,
        Self::StartGrace,
        Self::BootInterrupts,
        Self::CancelStops,
        Self::RetriesAreCounted,
        Self::DisksArmedFirst,
        Self::BlankOrNamed,
        Self::LookedAtAnew,
        Self::OneWriterAMachine,
        Self::DecidedAgain,
        Self::LostAnswerLookedFor,
        Self::BootTokenOnce,
        Self::SessionOfThisBoot,
    ];
}

/// Whether a check is made.
#[cfg(not(any(test, feature = "testing")))]
#[inline]
pub(crate) const fn holds(_: Guard) -> bool {
    true
}

#[cfg(any(test, feature = "testing"))]
std::thread_local! {
    static OFF: std::cell::Cell<Option<Guard>> = const { std::cell::Cell::new(None) };
}

/// Whether a check is made.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn holds(guard: Guard) -> bool {
    OFF.get() != Some(guard)
}

/// Does `work` without a check, on this thread alone.
#[cfg(any(test, feature = "testing"))]
pub fn without<T>(guard: Guard, work: impl FnOnce() -> T) -> T {
    struct Back(Option<Guard>);
    impl Drop for Back {
        fn drop(&mut self) {
            OFF.set(self.0);
        }
    }
    let _back = Back(OFF.replace(Some(guard)));
    work()
}
