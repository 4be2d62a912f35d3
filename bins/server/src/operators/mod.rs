//! Operators who come by TCP, and who they are.
//!
//! ```text
//!  bootcode-server token  -> data_dir: operators (digests only) -> who
//!  a connection -> tls::Identity -> listen ------------------------^-> routes
//! ```

mod listen;
mod tokens;
mod who;

pub(crate) use listen::Listeners;
pub use tokens::{Issued, TokenError, Tokens};
