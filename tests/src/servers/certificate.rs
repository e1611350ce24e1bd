//! A certificate for 127.0.0.1 and its key, made by openssl.

use crate::{program, run};
use std::path::PathBuf;

pub struct Certificate(tempfile::TempDir);

impl Certificate {
    #[expect(clippy::new_without_default, reason = "it makes files")]
    pub fn new() -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        files.renew();
        files
    }

    pub fn certificate(&self) -> PathBuf {
        self.0.path().join("server.crt")
    }

    pub fn key(&self) -> PathBuf {
        self.0.path().join("server.key")
    }

    /// Of the shim.
    pub fn flags(&self) -> [String; 4] {
        let path = |path: PathBuf| path.to_str().unwrap().to_owned();
        let (certificate, key) = (path(self.certificate()), path(self.key()));
        ["--tls-certificate".into(), certificate, "--tls-key".into(), key]
    }

    /// A new key and a certificate of its own.
    pub fn renew(&self) {
        let mut command = program("openssl", &["req", "-x509", "-nodes", "-days", "2"]);
        command.args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]);
        command.args(["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]);
        command.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
        run(command.arg("-keyout").arg(self.key()).arg("-out").arg(self.certificate())).success();
    }
}
