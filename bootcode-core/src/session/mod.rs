//! Boot sessions: who may fetch what of a machine's, from its first DHCP exchange to its installed system.
//!
//! ```text
//! DHCPACK (mac, ip) -> BootSessions -> script route mints a boot token -> kernel command line -> worker's hello redeems it with a nonce
//!                                                                                              -> session token, instance token
//!             nobody declared it, `unknown: boot` -> script route mints an inventory token -> kernel command line -> its inventory, no more
//! ```

mod boots;
mod token;

pub use boots::{BootSessions, Holder};
pub use token::{Claims, Sealer, TokenError, Use};

use std::sync::Arc;

/// Draws 128 random bits. Deciding code is handed this, so that tests and the simulation can repeat a run.
pub type Entropy = Arc<dyn Fn() -> [u8; 16] + Send + Sync>;

/// 32 hexadecimal digits of fresh randomness.
#[must_use]
pub fn random_id(entropy: &Entropy) -> String {
    use std::fmt::Write as _;
    entropy().iter().fold(String::with_capacity(32), |mut id, byte| {
        let _ = write!(id, "{byte:02x}");
        id
    })
}
