//! How a server is reached: where it is, who asks, and whose certificates count.

use bootcode_core::secret::Secret;

use crate::endpoint::Endpoint;

/// A server, and what its clients show it.
#[derive(Debug, Clone)]
pub(super) struct Access {
    pub(super) endpoint: Endpoint,
    /// Goes with every request, where a request has none of its own.
    pub(super) token: Option<Secret>,
    #[cfg(feature = "tls")]
    pub(super) trust: Option<super::Trust>,
}

impl Access {
    pub(super) const fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            token: None,
            #[cfg(feature = "tls")]
            trust: None,
        }
    }
}
