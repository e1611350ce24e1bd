//! Requests have one host (RFC 9112, 3.2, and RFC 9113, 8.3.1), whatever is asked and whether or
//! not there are tenants.

use crate::protocol::http2::{Http2, REQUEST};
use apikey_tests::{Answer, Certificate, Database, Shim};
use std::io::Write;
use std::net::TcpStream;

const PATHS: [&str; 6] =
    ["/api/user/keytest/", "/auth", "/live", "/ready", "/openapi.json", "/nowhere"];

#[test]
fn a_request_without_a_host_or_with_two_is_none() {
    let mut database = Database::new();
    let key = database.key("'event'");
    let shim = Shim::start_for_auth(&mut database, &["--metrics-listen", "127.0.0.1:0"]);
    let send = |line: &str, lines: &[&str]| {
        let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
        shim.send(format!("{line}\r\n{lines}X-Api-Key: {key}\r\n\r\n").as_bytes())
    };
    for path in PATHS {
        let expected = if path == "/nowhere" { 404 } else { 200 };
        for method in ["GET", "HEAD"] {
            let new = format!("{method} {path} HTTP/1.1");
            let old = format!("{method} {path} HTTP/1.0");
            let absolute = format!("{method} http://test{path} HTTP/1.1");
            for (line, lines, status) in [
                (&new, &["Host: test"][..], expected),
                (&new, &["Host: "], expected),
                (&new, &["hOST:TEST.:8080"], expected),
                (&old, &[], expected),
                (&old, &["Host: test"], expected),
                (&absolute, &["Host: test"], expected),
                (&absolute, &["Host: other"], expected),
                (&new, &[], 400),
                (&absolute, &[], 400),
                (&new, &["X-Forwarded-Host: test"], 400),
                (&new, &["Host: test", "Host: test"], 400),
                (&new, &["Host: test", "X: x", "host: other"], 400),
                (&old, &["Host: test", "Host: test"], 400),
                (&new, &["Host: test, test"], 400),
                (&new, &["Host: user@test"], 400),
                (&new, &["Host: test:http"], 400),
                (&new, &["Host: http://test"], 400),
                (&new, &["Host: caf\u{e9}"], 400),
                (&format!("{method} http://user@test{path} HTTP/1.1"), &["Host: test"], 400),
            ] {
                let answer = send(line, lines);
                assert_eq!(answer.status(), status, "{line} {lines:?}");
                if status == 400 && method == "GET" {
                    answer.assert_problem(400);
                }
            }
        }
    }
    let mut stream = TcpStream::connect(shim.metrics_address()).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").unwrap();
    Answer::read(stream).assert_problem(400);
}

/// The first byte of the header that answers is its status, by HPACK's static table (RFC 7541,
/// appendix A).
const OK: u8 = 0x88;
const BAD_REQUEST: u8 = 0x8c;

#[test]
fn with_http2_the_authority_stands_for_it_and_is_not_contradicted() {
    let mut database = Database::new();
    let files = Certificate::new();
    let tls = files.flags();
    let shim = Shim::start(&mut database, &tls.each_ref().map(String::as_str));
    for (authority, host, status) in [
        (Some("test"), None, OK),
        (None, Some("test"), OK),
        (Some("test"), Some("test"), OK),
        (Some("test"), Some("TEST.:443"), OK),
        (None, None, BAD_REQUEST),
        (Some("test"), Some("other"), BAD_REQUEST),
        (Some("test"), Some(""), BAD_REQUEST),
        (Some("test"), Some("test, test"), BAD_REQUEST),
        (Some("user@test"), None, BAD_REQUEST),
        (None, Some("user@test"), BAD_REQUEST),
    ] {
        let mut client = Http2::connect(&shim);
        let named = authority.map(|authority| (":authority", authority));
        let line = host.map(|host| ("host", host));
        client.head(1, true, &[&REQUEST[..], named.as_slice(), line.as_slice()].concat());
        assert_eq!(client.answer(1).first(), Some(&status), "{authority:?} {host:?}");
    }
    let mut client = Http2::connect(&shim);
    client.head(1, true, &[&REQUEST[..], &[("host", "test"), ("host", "test")]].concat());
    assert_eq!(client.answer(1).first(), Some(&BAD_REQUEST));
}
