//! The server's certificate and key, as they are in their files now.

use std::{
    fs, io,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tokio_rustls::TlsAcceptor;

use super::{CERTIFICATE, KEY};
use crate::{config::ApiTls, data::DataDir, error::ServerError};

/// Proves that the server is itself. A certificate that is replaced counts from the next connection on.
pub(super) struct Identity {
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
    pub(super) fn open(config: &ApiTls, data: &DataDir) -> Result<Self, ServerError> {
        let certificate = config.certificate.clone().unwrap_or_else(|| data.join(CERTIFICATE));
        let key = config.key.clone().unwrap_or_else(|| data.join(KEY));
        let written = [written(&certificate), written(&key)];
        let acceptor = load(&certificate, &key)?;
        Ok(Self { certificate, key, current: Mutex::new(Current { written, acceptor }) })
    }

    /// Shakes hands with clients. Files that were replaced and cannot be used are told, and the last good ones count on.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        let written = [written(&self.certificate), written(&self.key)];
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if written != current.written {
            current.written = written;
            match load(&self.certificate, &self.key) {
                Ok(acceptor) => {
                    current.acceptor = acceptor;
                    tracing::info!(certificate = %self.certificate.display(), "a new certificate for operators");
                }
                Err(error) => tracing::error!(%error, "going on with the certificate of before"),
            }
        }
        current.acceptor.clone()
    }
}

fn written(path: &PathBuf) -> Option<SystemTime> {
    fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}

fn load(certificate: &PathBuf, key: &PathBuf) -> Result<TlsAcceptor, ServerError> {
    let failed = |key: &'static str, path: &PathBuf, message: String| ServerError::Path {
        key,
        path: path.clone(),
        message,
    };
    let read = |name: &'static str, path: &PathBuf| {
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
    let pem = read("api.tls.certificate", certificate)?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok).collect();
    if chain.is_empty() {
        return Err(failed("api.tls.certificate", certificate, "holds no certificate in PEM".to_owned()));
    }
    let pem = read("api.tls.key", key)?;
    let private = PrivateKeyDer::from_pem_slice(&pem)
        .map_err(|_| failed("api.tls.key", key, "holds no private key in PEM".to_owned()))?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, private))
        .map_err(|error| {
            let message = format!("and {} do not make a server's identity: {error}", key.display());
            failed("api.tls.certificate", certificate, message)
        })?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
