//! TLS to clients: a certificate with its key, which can be replaced while we run.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::RwLock;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

pub const HTTP_2: &[u8] = b"h2";
const HTTP_1: &[u8] = b"http/1.1";

pub struct ServerTls {
    certificate: PathBuf,
    key: PathBuf,
    config: RwLock<Arc<ServerConfig>>,
}

impl ServerTls {
    pub fn new(certificate: PathBuf, key: PathBuf) -> Result<Self, String> {
        let config = RwLock::new(config(&certificate, &key)?);
        Ok(Self { certificate, key, config })
    }

    /// Reads the files again, for connections that come from now on. What cannot be used changes
    /// nothing.
    pub fn reload(&self) -> Result<(), String> {
        let config = config(&self.certificate, &self.key)?;
        *self.config.write() = config;
        Ok(())
    }

    /// A server that speaks nothing else offers no HTTP/2.
    pub fn acceptor(&self, with_http2: bool) -> TlsAcceptor {
        let mut config = self.config.read().clone();
        if !with_http2 {
            Arc::make_mut(&mut config).alpn_protocols = vec![HTTP_1.to_vec()];
        }
        TlsAcceptor::from(config)
    }
}

/// TLS 1.2 and 1.3, with rustls' choice of ciphers.
fn config(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>, String> {
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unusable(certificate, error))?;
    if chain.is_empty() {
        return Err(unusable(certificate, "it holds no certificate in PEM form"));
    }
    // What is wrong is said without what the file holds.
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| unusable(key, error))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, secret))
        .map_err(|error| unusable(key, error))?;
    config.alpn_protocols = vec![HTTP_2.to_vec(), HTTP_1.to_vec()];
    Ok(Arc::new(config))
}

fn unusable(path: &Path, error: impl Display) -> String {
    format!("{} cannot be used: {error}", path.display())
}
