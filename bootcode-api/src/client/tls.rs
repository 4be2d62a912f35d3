//! TLS towards a server: whose certificates count.

use std::{io, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

/// Whose certificates are trusted.
#[derive(Debug, Clone)]
pub struct Trust(Arc<ClientConfig>);

/// Nobody could be trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TrustError {
    message: String,
}

impl Trust {
    /// The authorities that this system trusts.
    ///
    /// # Errors
    /// [`TrustError`] where the system has none.
    pub fn of_system() -> Result<Self, TrustError> {
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        // Old authorities that cannot be read any more are common; the others count.
        let (read, _) = roots.add_parsable_certificates(found.certs);
        if read == 0 {
            let message =
                "this system trusts no authority: install ca-certificates, or name the server's own";
            return Err(TrustError { message: message.to_owned() });
        }
        Self::of_roots(roots)
    }

    /// Only the authorities in these PEM certificates (RFC 7468).
    ///
    /// # Errors
    /// [`TrustError`] where there is none, or one that cannot be read.
    pub fn of_pem(pem: &[u8]) -> Result<Self, TrustError> {
        let failed =
            |why: &dyn std::fmt::Display| TrustError { message: format!("no certificate in PEM: {why}") };
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|error| failed(&error))?;
            roots.add(certificate).map_err(|error| failed(&error))?;
        }
        if roots.is_empty() {
            return Err(failed(
                &"it begins with -----BEGIN CERTIFICATE-----, as ca.pem of `bootcode-server ca` does",
            ));
        }
        Self::of_roots(roots)
    }

    /// No authority at all: whoever speaks TLS is refused.
    ///
    /// # Errors
    /// [`TrustError`] where TLS cannot be had.
    pub fn of_nobody() -> Result<Self, TrustError> {
        Self::of_roots(RootCertStore::empty())
    }

    /// The same for other servers than ours, as those that images are fetched from.
    #[must_use]
    pub fn config(&self) -> ClientConfig {
        ClientConfig::clone(&self.0)
    }

    fn of_roots(roots: RootCertStore) -> Result<Self, TrustError> {
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| TrustError { message: error.to_string() })?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self(Arc::new(config)))
    }

    /// Shakes hands with the server that should have this name.
    pub(super) async fn connect(&self, host: &str, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        TlsConnector::from(Arc::clone(&self.0)).connect(name, stream).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_certificate_is_told() {
        for pem in [&b""[..], b"hello", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            let error = Trust::of_pem(pem).unwrap_err().to_string();
            assert!(error.contains("no certificate in PEM"), "{error}");
        }
    }
}
