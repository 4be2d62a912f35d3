//! Who decides what a machine boots.

use crate::{
    boot::{BootAsk, BootStep, plan_boot},
    clock::Timestamp,
};

/// Decides what a machine boots; one in a server, asked by every protocol (I7).
pub trait BootPolicy: Send + Sync {
    /// The next step of this machine's boot.
    fn plan(&self, ask: &BootAsk<'_>, now: Timestamp) -> BootStep;
}

/// [`plan_boot`].
#[derive(Debug, Clone, Copy, Default)]
pub struct DefaultPolicy;

impl BootPolicy for DefaultPolicy {
    fn plan(&self, ask: &BootAsk<'_>, now: Timestamp) -> BootStep {
        plan_boot(ask, now)
    }
}
