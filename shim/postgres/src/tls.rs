//! TLS to Postgres, with libpq's meaning of `sslmode` (PostgreSQL manual, libpq, "SSL Support").

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::conninfo::{RootCert, SslMode, SslParameters};

/// How far the server's certificate is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Check {
    /// Encryption only: anybody who can answer at the address can read along.
    Nothing,
    /// Signed by a root that we trust, for whatever name.
    Chain,
    ChainAndName,
}

/// A connector, and the mode that tokio-postgres has to follow.
pub fn connector(
    ssl: SslParameters,
) -> Result<(MakeRustlsConnect, tokio_postgres::config::SslMode), String> {
    use tokio_postgres::config::SslMode as Wire;

    let (mode, root) = resolved(ssl, default_root())?;
    let check = match (mode, &root) {
        (SslMode::VerifyFull, _) => Check::ChainAndName,
        (SslMode::VerifyCa, _) => Check::Chain,
        // A root that somebody went to the trouble of naming is used, as in libpq.
        (SslMode::Prefer | SslMode::Require, Some(_)) => Check::Chain,
        _ => Check::Nothing,
    };
    let wire = match mode {
        SslMode::Disable => Wire::Disable,
        SslMode::Prefer => Wire::Prefer,
        _ => Wire::Require,
    };
    let trusted = match (check, root) {
        (Check::Nothing, _) | (_, None) => Vec::new(),
        (_, Some(RootCert::System)) => system_certificates()?,
        (_, Some(RootCert::File(path))) => certificates(&path)?,
    };
    let config = client_config(check, trusted).map_err(|error| format!("TLS: {error}"))?;
    Ok((MakeRustlsConnect::new(config), wire))
}

/// Fills in libpq's defaults, and refuses what cannot be meant.
fn resolved(
    ssl: SslParameters,
    default_root: Option<PathBuf>,
) -> Result<(SslMode, Option<RootCert>), String> {
    let system = ssl.root == Some(RootCert::System);
    let mode = match ssl.mode {
        None if system => SslMode::VerifyFull,
        // The system's roots sign certificates for everybody: without the name they prove nothing.
        Some(mode) if system && mode != SslMode::VerifyFull => {
            return Err("sslrootcert=system needs sslmode=verify-full".into());
        }
        mode => mode.unwrap_or(SslMode::Prefer),
    };
    let root = match mode {
        SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => {
            ssl.root.or(default_root.map(RootCert::File))
        }
        SslMode::Disable | SslMode::Prefer => ssl.root,
    };
    if root.is_none() && matches!(mode, SslMode::VerifyCa | SslMode::VerifyFull) {
        return Err(
            "sslmode=verify-ca and verify-full need a root certificate: sslrootcert=FILE, \
             sslrootcert=system, or ~/.postgresql/root.crt"
                .into(),
        );
    }
    Ok((mode, root))
}

fn default_root() -> Option<PathBuf> {
    let path = std::env::home_dir()?.join(".postgresql/root.crt");
    path.is_file().then_some(path)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let unreadable = |error: &dyn std::fmt::Display| {
        format!("sslrootcert {} cannot be read: {error}", path.display())
    };
    let found = CertificateDer::pem_file_iter(path)
        .map_err(|error| unreadable(&error))?
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| unreadable(&error))?;
    if found.is_empty() {
        return Err(unreadable(&"it holds no certificate in PEM form"));
    }
    Ok(found)
}

fn system_certificates() -> Result<Vec<CertificateDer<'static>>, String> {
    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        return Err("sslrootcert=system, but this system has no root certificates".into());
    }
    Ok(found.certs)
}

fn client_config(
    check: Check,
    trusted: Vec<CertificateDer<'static>>,
) -> Result<ClientConfig, Error> {
    let provider = Arc::new(ring::default_provider());
    let mut roots = RootCertStore::empty();
    let (usable, _) = roots.add_parsable_certificates(trusted.iter().cloned());
    if usable == 0 && check != Check::Nothing {
        return Err(Error::General("no usable root certificate".into()));
    }
    let verifier = Verifier { check, roots, trusted, provider: provider.clone() };
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    // Required by sslnegotiation=direct, sent by libpq 17 always, ignored by older servers.
    config.alpn_protocols = vec![b"postgresql".to_vec()];
    Ok(config)
}

#[derive(Debug)]
struct Verifier {
    check: Check,
    roots: RootCertStore,
    trusted: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    fn chain(
        &self,
        parsed: &ParsedCertificate<'_>,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        let algorithms = self.provider.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(
            parsed,
            &self.roots,
            intermediates,
            now,
            algorithms,
        )
        .or_else(|error| {
            if !is_ca_as_server(&error) {
                return Err(error);
            }
            // `openssl req -x509`, as the PostgreSQL manual shows it, makes a certificate that is
            // server and root in one. libpq takes it; webpki does not, whoever trusts it. It has
            // checked the dates by then, and trusting exactly this certificate was asked for.
            if self.trusted.contains(certificate) {
                return Ok(());
            }
            let reason = "the server's certificate is a CA's own, and none of the trusted ones";
            Err(Error::General(reason.into()))
        })
    }
}

fn is_ca_as_server(error: &Error) -> bool {
    let Error::InvalidCertificate(CertificateError::Other(cause)) = error else {
        return false;
    };
    matches!(cause.0.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity))
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.check != Check::Nothing {
            let parsed = ParsedCertificate::try_from(certificate)?;
            self.chain(&parsed, certificate, intermediates, now)?;
            if self.check == Check::ChainAndName {
                verify_server_name(&parsed, name)?;
            }
        }
        Ok(ServerCertVerified::assertion())
    }

    // Whoever presents a certificate must hold its key, in every mode.
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(
        mode: Option<SslMode>,
        root: Option<&str>,
        default: bool,
    ) -> Result<(SslMode, bool), String> {
        let root = root.map(|root| match root {
            "system" => RootCert::System,
            path => RootCert::File(path.into()),
        });
        let default = default.then(|| PathBuf::from("/default"));
        resolved(SslParameters { mode, root }, default).map(|(mode, root)| (mode, root.is_some()))
    }

    #[test]
    fn defaults_of_libpq() {
        use SslMode::*;
        assert_eq!(resolve(None, None, false), Ok((Prefer, false)));
        assert_eq!(resolve(None, None, true), Ok((Prefer, false)));
        assert_eq!(resolve(None, Some("system"), false), Ok((VerifyFull, true)));
        assert_eq!(resolve(Some(Require), None, false), Ok((Require, false)));
        assert_eq!(resolve(Some(Require), None, true), Ok((Require, true)));
        assert_eq!(resolve(Some(VerifyCa), None, true), Ok((VerifyCa, true)));
    }

    #[test]
    fn verification_without_a_root_is_refused() {
        assert!(resolve(Some(SslMode::VerifyCa), None, false).is_err());
        assert!(resolve(Some(SslMode::VerifyFull), None, false).is_err());
        assert!(resolve(Some(SslMode::Require), Some("system"), false).is_err());
        assert!(certificates(Path::new("/nonexistent")).is_err());
    }
}
