//! A service behind a proxy that asks a shim, and keys for it.

use crate::proxies::{Backends, Kind, Variant};
use apikey_tests::{Database, Output, Proxy, Shim, one, program, run};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use tempfile::TempDir;

const SERVICE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/proxies/service.py");
/// A client's address: all of 127.0.0.0/8 is this machine.
pub const HOME: &str = "127.0.0.2";
pub const ELSEWHERE: &str = "127.0.0.3";
/// A key's name and owner, and what the service reads.
const NAME: (&str, &str) = ("box office, caf\u{e9}", "box%20office%2C%20caf%C3%A9");
const OWNER: &str = "ada@example.org";

/// A service, which goes with it.
pub struct Service {
    child: Child,
    port: u16,
    pub files: TempDir,
}

impl Service {
    fn start() -> Self {
        let files = tempfile::tempdir().unwrap();
        let seen = files.path().join("seen");
        std::fs::write(&seen, "").unwrap();
        let (child, port) = started("/usr/bin/python3", &["-u", SERVICE, seen.to_str().unwrap()]);
        Self { port, child, files }
    }

    /// How many requests have reached it.
    pub fn seen(&self) -> usize {
        std::fs::read_to_string(self.files.path().join("seen")).unwrap().lines().count()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A program that says its port in its first line.
pub fn started(name: &str, arguments: &[&str]) -> (Child, u16) {
    let mut child = program(name, arguments).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (child, line.trim().parse().unwrap())
}

/// A service behind a proxy that asks a shim, and keys for it.
pub struct Front {
    pub proxy: Proxy,
    pub shim: Shim,
    pub service: Service,
    pub database: Database,
    /// Grants `event`, from HOME.
    pub key: String,
    /// Grants something else, from anywhere.
    pub other: String,
}

impl Front {
    pub fn start(kind: &Kind, variant: Variant) -> Self {
        let mut database = Database::new();
        let create =
            format!("SELECT apikey_create('{}', 'event', '{HOME}', owner => '{OWNER}')", NAME.0);
        let key = one(&mut database.superuser(), &create).unwrap();
        let other = database.key("'ticket'");
        let shim = Shim::start_for_auth(&mut database, &["--trusted-proxy", "127.0.0.1"]);
        let service = Service::start();
        let backends = Backends {
            shim: shim.address.to_string(),
            service: format!("127.0.0.1:{}", service.port),
        };
        let proxy = kind.start(&backends, variant);
        Self { proxy, shim, service, database, key, other }
    }

    /// A request by curl from an address. The status comes first, then headers and body.
    pub fn curl(&self, from: &str, path: &str, arguments: &[&str]) -> Response {
        let url = format!("http://{}{path}", self.proxy.address);
        let common = ["-sS", "-i", "--max-time", "20", "--path-as-is", "--interface", from];
        let output: Output = run(program("curl", &common).args(arguments).arg(&url));
        assert_eq!(output.code, Some(0), "{path} {arguments:?}: {}", output.stderr);
        let mut answer = output.stdout;
        while let Some((_, rest)) =
            answer.split_once("\r\n\r\n").filter(|_| answer.starts_with("HTTP/1.1 100 "))
        {
            answer = rest.to_owned();
        }
        Response(answer)
    }

    pub fn ask(&self, from: &str, path: &str, key: &str, lines: &[&str]) -> Response {
        let key = format!("Authorization: Api-Key {key}");
        let arguments: Vec<_> =
            [&[&*key], lines].concat().into_iter().flat_map(|line| ["-H", line]).collect();
        self.curl(from, path, &arguments)
    }

    /// That a request is refused before it reaches the service.
    #[track_caller]
    pub fn assert_refused(&self, status: u16, ask: impl FnOnce() -> Response) {
        let seen = self.service.seen();
        let response = ask();
        assert_eq!(response.status(), status, "{}", response.0);
        assert_eq!(self.service.seen(), seen, "it reached the service");
        let challenge = response.header("www-authenticate");
        assert_eq!(challenge.is_some(), status == 401, "{}", response.0);
        assert_eq!(response.header("x-apikey-prefix"), None, "{}", response.0);
    }
}

pub struct Response(pub String);

impl Response {
    pub fn status(&self) -> u16 {
        self.0.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let (head, _) = self.0.split_once("\r\n\r\n").unwrap();
        let pairs = head.lines().filter_map(|line| line.split_once(": "));
        pairs.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }

    /// What the service was asked.
    #[track_caller]
    pub fn asked(&self) -> Value {
        assert_eq!(self.status(), 200, "{}", self.0);
        let (_, body) = self.0.rsplit_once("\r\n\r\n").unwrap();
        serde_json::from_str(body).unwrap_or_else(|_| panic!("not the service's: {}", self.0))
    }

    /// All that the answer has of a header.
    pub fn all(&self, name: &str) -> Vec<String> {
        let (head, _) = self.0.rsplit_once("\r\n\r\n").unwrap();
        let pairs = head.lines().filter_map(|line| line.split_once(": "));
        let values = pairs.filter(|(key, _)| key.eq_ignore_ascii_case(name));
        values.map(|(_, value)| value.to_lowercase()).collect()
    }

    /// The values of a header that reached the service.
    #[track_caller]
    pub fn reached(&self, name: &str) -> Vec<String> {
        let asked = self.asked();
        let headers = asked["headers"].as_array().unwrap().iter();
        let values = headers.filter(|header| header[0] == name);
        values.map(|header| header[1].as_str().unwrap().to_owned()).collect()
    }

    #[track_caller]
    pub fn assert_identity(&self, key: &str) {
        for (name, value) in [
            ("x-apikey-prefix", &key[..8]),
            ("x-apikey-name", NAME.1),
            ("x-apikey-owner", OWNER),
            ("x-apikey-auth", "\"event\""),
        ] {
            assert_eq!(self.reached(name), [value], "{name}: {}", self.0);
        }
        let tenant = self.reached("x-apikey-tenant");
        assert!(tenant.is_empty() || tenant == [""], "{tenant:?}");
    }
}
