//! The server's certificate and key, as they are in their files now.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tokio_rustls::TlsAcceptor;

use super::Audience;
use crate::{data::DataDir, error::ServerError};

/// Proves to an audience that the server is itself. A certificate that is replaced counts from the next connection on.
pub(crate) struct Identity {
    audience: Audience,
    certificate: PathBuf,
    key: PathBuf,
    current: Mutex<Current>,
}

struct Current {
    written: Written,
    acceptor: TlsAcceptor,
}

/// When each of the two files was written.
type Written = [Option<SystemTime>; 2];

impl Identity {
    /// What the configuration names, else what `bootcode-server ca` made.
    ///
    /// # Errors
    /// [`ServerError::Path`] says what to do.
    pub(crate) fn open(
        audience: Audience,
        certificate: Option<&Path>,
        key: Option<&Path>,
        data: &DataDir,
    ) -> Result<Self, ServerError> {
        let [own_certificate, own_key] = audience.files().map(|file| data.join(file));
        let certificate = certificate.map_or(own_certificate, Path::to_owned);
        let key = key.map_or(own_key, Path::to_owned);
        let written = [written(&certificate), written(&key)];
        let acceptor = load(audience, &certificate, &key)?;
        Ok(Self { audience, certificate, key, current: Mutex::new(Current { written, acceptor }) })
    }

    /// Shakes hands with clients. Files that were replaced and cannot be used are told, and the last good ones count on.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        let written = [written(&self.certificate), written(&self.key)];
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if written != current.written {
            current.written = written;
            match load(self.audience, &self.certificate, &self.key) {
                Ok(acceptor) => {
                    current.acceptor = acceptor;
                    let (certificate, shown_to) = (self.certificate.display(), self.audience.name());
                    tracing::info!(%certificate, shown_to, "a new certificate");
                }
                Err(error) => tracing::error!(%error, "going on with the certificate of before"),
            }
        }
        current.acceptor.clone()
    }
}

fn written(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}

fn load(audience: Audience, certificate: &Path, key: &Path) -> Result<TlsAcceptor, ServerError> {
    let failed = |key: &'static str, path: &Path, message: String| ServerError::Path {
        key,
        path: path.to_owned(),
        message,
    };
    let [certificate_key, key_key] = audience.keys();
    let read = |name: &'static str, path: &Path| {
        fs::read(path).map_err(|error| {
            let message = match error.kind() {
                io::ErrorKind::NotFound => {
                    "is not there: make it with `bootcode-server ca`, or name your own".to_owned()
                }
                _ => format!("cannot be read: {error}"),
            };
            failed(name, path, message)
        })
    };
    let pem = read(certificate_key, certificate)?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok).collect();
    if chain.is_empty() {
        return Err(failed(certificate_key, certificate, "holds no certificate in PEM".to_owned()));
    }
    let pem = read(key_key, key)?;
    let private = PrivateKeyDer::from_pem_slice(&pem)
        .map_err(|_| failed(key_key, key, "holds no private key in PEM".to_owned()))?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, private))
        .map_err(|error| {
            let message = format!("and {} do not make a server's identity: {error}", key.display());
            failed(certificate_key, certificate, message)
        })?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
