//! TLS to Postgres: `sslmode` and `sslrootcert` as libpq has them.

use apikey_tests::{Cluster, Database, Shim, one};
use std::path::{Path, PathBuf};

/// An authority, and a certificate for `localhost` that it signed: made by the server itself, in
/// its data directory, so that it owns the private key.
const MAKE_CERTIFICATES: &str = r"COPY (SELECT) TO PROGRAM $$
    openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj '/CN=test authority' -keyout ca.key -out ca.crt &&
    openssl req -newkey rsa:2048 -nodes -subj '/CN=localhost' -keyout server.key -out server.csr &&
    echo subjectAltName=DNS:localhost > san &&
    openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile san -out server.crt &&
    openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj '/CN=stranger' -keyout other.key -out other.crt
$$";

struct Tls {
    database: Database,
    files: tempfile::TempDir,
}

impl Tls {
    fn new() -> Self {
        let database = Database::in_cluster(Cluster::private(&[]));
        let mut client = database.superuser();
        client.batch_execute(MAKE_CERTIFICATES).unwrap();
        client.batch_execute("ALTER SYSTEM SET ssl = on").unwrap();
        let files = tempfile::tempdir().unwrap();
        for name in ["ca.crt", "other.crt"] {
            let pem = one(&mut client, &format!("SELECT pg_read_file('{name}')")).unwrap();
            std::fs::write(files.path().join(name), pem).unwrap();
        }
        database.cluster.stop();
        database.cluster.start();
        Self { database, files }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.files.path().join(name)
    }

    /// Whether a shim with this connection string gets an answer, and whether by TLS.
    fn outcome(&mut self, host: &str, options: &str) -> Result<bool, String> {
        let checker = self.database.login("tls", "");
        let grant =
            format!("GRANT EXECUTE ON FUNCTION apikey_check(text, inet) TO {}", checker.role);
        self.database.superuser().batch_execute(&grant).unwrap();
        let conninfo =
            format!("{} {options}", self.database.conninfo(&checker).replace("127.0.0.1", host));
        let shim = Shim::start_as(&checker, &conninfo, &[]);
        let status = shim.get("/ready", &[]).status();
        let encrypted = one(
            &mut self.database.superuser(),
            &format!(
                "SELECT coalesce(bool_and(ssl)::text, 'none') FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
                  WHERE usename = '{}'",
                checker.role
            ),
        );
        let log = shim.log();
        drop(shim);
        self.database.forget(&checker);
        match (status, encrypted.as_deref()) {
            (200, Some("true")) => Ok(true),
            (200, Some("false")) => Ok(false),
            (503, _) => Err(log),
            other => panic!("{other:?}: {log}"),
        }
    }
}

fn root(path: &Path) -> String {
    format!("sslrootcert={}", path.display())
}

#[test]
fn with_a_server_that_offers_tls() {
    let mut tls = Tls::new();
    let ours = root(&tls.file("ca.crt"));
    let other = root(&tls.file("other.crt"));
    for (host, options, encrypted) in [
        ("127.0.0.1", "", true),
        ("127.0.0.1", "sslmode=disable", false),
        ("127.0.0.1", "sslmode=prefer", true),
        ("127.0.0.1", "sslmode=require", true),
        ("127.0.0.1", &format!("sslmode=require {ours}"), true),
        ("127.0.0.1", &format!("sslmode=verify-ca {ours}"), true),
        ("localhost", &format!("sslmode=verify-full {ours}"), true),
    ] {
        assert_eq!(tls.outcome(host, options), Ok(encrypted), "{host} {options}");
    }
    for (host, options, cause) in [
        ("127.0.0.1", format!("sslmode=verify-full {ours}"), "certificate"),
        ("localhost", format!("sslmode=verify-full {other}"), "certificate"),
        ("127.0.0.1", format!("sslmode=verify-ca {other}"), "certificate"),
        ("127.0.0.1", format!("sslmode=require {other}"), "certificate"),
    ] {
        let log = tls.outcome(host, &options).expect_err(&options);
        assert!(log.contains(cause), "{options}: {log}");
    }
}

#[test]
fn with_a_server_that_does_not() {
    let mut tls = Tls::new();
    tls.database.superuser().batch_execute("ALTER SYSTEM SET ssl = off").unwrap();
    tls.database.cluster.stop();
    tls.database.cluster.start();
    let ours = root(&tls.file("ca.crt"));
    for options in ["", "sslmode=prefer", "sslmode=disable"] {
        assert_eq!(tls.outcome("127.0.0.1", options), Ok(false), "{options}");
    }
    for options in ["sslmode=require".to_owned(), format!("sslmode=verify-full {ours}")] {
        let log = tls.outcome("127.0.0.1", &options).expect_err(&options);
        assert!(log.contains("TLS"), "{options}: {log}");
    }
}
