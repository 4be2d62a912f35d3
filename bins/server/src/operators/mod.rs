//! Operators who come by TCP: who they are, and what proves that the server is itself.
//!
//! ```text
//!  bootcode-server ca     -> data_dir: ca.pem ca.key tls.pem tls.key -> identity -> listen (TLS) -> who -> routes
//!  bootcode-server token  -> data_dir: operators (digests only) ---------------------------------^
//! ```

mod authority;
mod identity;
mod listen;
mod tokens;
mod who;

pub(crate) use authority::certify;
pub use authority::{AuthorityError, Certified};
pub(crate) use listen::Listeners;
pub use tokens::{Issued, TokenError, Tokens};

/// The authority's certificate, which operators trust.
const CA: &str = "ca.pem";
/// Its key, which signs nothing but the server's certificate.
const CA_KEY: &str = "ca.key";
/// The server's certificate.
const CERTIFICATE: &str = "tls.pem";
/// Its key.
const KEY: &str = "tls.key";
