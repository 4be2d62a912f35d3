//! What proves to others that the server is itself.
//!
//! ```text
//!  bootcode-server ca -> data_dir: ca.pem ca.key -+-> tls.pem tls.key           -> identity -> operators (TLS)
//!                                                 +-> machines.pem machines.key -> identity -> machines (TLS)
//! ```

mod audience;
mod authority;
mod identity;
mod key;

pub(crate) use audience::Audience;
pub(crate) use authority::certify;
pub use authority::{AuthorityError, Certified};
pub(crate) use identity::Identity;

/// The authority's certificate, which operators and machines trust.
const CA: &str = "ca.pem";
/// Its key, which signs nothing but the server's certificates.
const CA_KEY: &str = "ca.key";
