//! Requests that servers disagree about. Whatever one of them means, the next one on the connection
//! is read where it begins, or not at all.

use apikey_tests::{Answer, Database, Shim};
use std::io::{Read, Write};
use std::net::Shutdown;
use std::thread::sleep;
use std::time::Duration;

/// A sound request, to stand behind an odd one.
const NEXT: &str = "GET /live HTTP/1.1\r\nHost: test\r\n\r\n";
const OK: u16 = 200;

/// The status of each answer to these bytes.
fn statuses(shim: &Shim, bytes: &[u8]) -> Vec<u16> {
    let mut stream = shim.connect();
    stream.write_all(bytes).unwrap();
    // It may have hung up already.
    let _ = stream.shutdown(Shutdown::Write);
    let mut received = Vec::new();
    stream.read_to_end(&mut received).unwrap();
    let text = String::from_utf8(received).unwrap();
    text.split("HTTP/1.").skip(1).map(|answer| answer[2..5].parse().unwrap()).collect()
}

#[test]
fn where_a_request_ends() {
    let mut database = Database::new();
    let shim = Shim::start(&mut database, &[]);
    let head = "GET /live HTTP/1.1\r\nHost: test\r\n";
    for (lines, body, expected) in [
        // A body that nobody reads.
        ("Content-Length: 5", "hello", &[OK, OK][..]),
        ("Content-Length: 5\r\nContent-Length: 5", "hello", &[OK, OK]),
        ("Transfer-Encoding: chunked", "0\r\n\r\n", &[OK, OK]),
        ("Transfer-Encoding: chunked", "5;a=b\r\nhello\r\n0\r\nX-Api-Key: x\r\n\r\n", &[OK, OK]),
        ("Expect: 100-continue\r\nContent-Length: 5", "hello", &[OK, OK]),
        ("Expect: something-else", "", &[OK, OK]),
        // Its length is not certain.
        ("Transfer-Encoding: chunked\r\nContent-Length: 3", "0\r\n\r\n", &[OK]),
        ("Content-Length: 3\r\nTransfer-Encoding: chunked", "0\r\n\r\n", &[OK]),
        ("Transfer-Encoding: chunked", "zz\r\n\r\n", &[OK]),
        ("Transfer-Encoding: chunked", "ffffffffffffffffff\r\n", &[OK]),
        ("Transfer-Encoding: chunked", "5\nhello\n0\n\n", &[OK]),
        ("Transfer-Encoding: xchunked", "0\r\n\r\n", &[400]),
        ("Transfer-Encoding: identity", "", &[400]),
        ("Transfer-Encoding: chunked, gzip", "0\r\n\r\n", &[400]),
        ("Content-Length: 5, 5", "hello", &[400]),
        ("Content-Length: +5", "hello", &[400]),
        ("Content-Length: 18446744073709551616", "", &[400]),
        ("Content-Length:", "", &[400]),
        // Not a length, whatever a gateway makes of the name.
        ("Content_Length: 5", "", &[OK, OK]),
        // Its lines, too, have one end.
        ("X: a\r\n b", "", &[400]),
        ("X: a\rb", "", &[400]),
        ("X: a\0b", "", &[400]),
        ("X : a", "", &[400]),
        (": a", "", &[400]),
        // Whether there is a next one.
        ("Connection: close, keep-alive", "", &[OK]),
        ("Connection: keep-alive\r\nConnection: close", "", &[OK]),
        (
            "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk",
            "",
            &[OK, OK],
        ),
        ("Connection: Upgrade\r\nUpgrade: websocket", "", &[OK, OK]),
    ] {
        let request = format!("{head}{lines}\r\n\r\n{body}{NEXT}");
        assert_eq!(statuses(&shim, request.as_bytes()), expected, "{lines} {body}");
    }
    let old = "GET /live HTTP/1.0\r\n";
    for (request, expected) in [
        (format!("{old}\r\n{NEXT}"), &[OK][..]),
        (format!("{old}Connection: keep-alive\r\n\r\n{NEXT}"), &[OK, OK]),
        (format!("{old}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n{NEXT}"), &[400]),
        (format!("GET /live\r\n{NEXT}"), &[400]),
        (format!("\r\n\r\n{NEXT}"), &[OK]),
        (NEXT.repeat(200), &[OK; 200]),
        (format!("{NEXT}GET /li"), &[OK]),
        (format!("{NEXT}nonsense\r\n\r\n{NEXT}"), &[OK, 400]),
        (format!("{head}Content-Length: 1000000\r\n\r\n{}{NEXT}", "x".repeat(1_000_000)), &[OK]),
    ] {
        let shown = &request[..request.len().min(200)];
        assert_eq!(statuses(&shim, request.as_bytes()), expected, "{shown}");
    }
}

#[test]
fn methods_and_targets() {
    let mut database = Database::new();
    let shim = Shim::start(&mut database, &[]);
    let long = "A".repeat(20_000);
    for (line, expected) in [
        ("get /live", &[405, OK][..]),
        ("TRACE /live", &[405, OK]),
        ("CONNECT /live", &[405, OK]),
        ("CONNECT test:443", &[404, OK]),
        (&format!("{} /live", &long[..9000]), &[405, OK]),
        (&format!("{long} /live"), &[414]),
        ("OPTIONS *", &[404, OK]),
        ("GET *", &[404, OK]),
        ("GET test:80", &[404, OK]),
        ("GET http://test", &[404, OK]),
        ("GET http:///live", &[400]),
        ("GET  /live", &[400]),
        ("GET /li ve", &[400]),
        ("GET\t/live", &[400]),
        (" GET /live", &[400]),
        // One spelling for each route.
        ("GET /%6cive", &[404, OK]),
        ("GET /LIVE", &[404, OK]),
        ("GET //live", &[404, OK]),
        ("GET /live/", &[404, OK]),
        ("GET /x/../live", &[404, OK]),
        ("GET /live;x", &[404, OK]),
        ("GET /api%2fuser/keytest/", &[404, OK]),
    ] {
        let request = format!("{line} HTTP/1.1\r\nHost: test\r\n\r\n{NEXT}");
        assert_eq!(statuses(&shim, request.as_bytes()), expected, "{line}");
    }
    for version in ["HTTP/1.2", "HTTP/2.0", "http/1.1", "HTTP/1.1 "] {
        let request = format!("GET /live {version}\r\nHost: test\r\n\r\n{NEXT}");
        assert_eq!(statuses(&shim, request.as_bytes()), [400], "{version}");
    }
    let key = "X-Api-Key: PREFIX12.secret";
    let traced = shim.request("TRACE", "/live", &[key]);
    assert!(!format!("{traced:?}").contains("PREFIX12"), "{traced:?}");
}

/// The body stays away, and the next answer is where it would have been.
#[test]
fn heads_of_every_route() {
    let mut database = Database::new();
    let key = database.key("'event'");
    let shim = Shim::start_for_auth(&mut database, &[]);
    for path in ["/api/user/keytest/", "/auth", "/live", "/ready", "/openapi.json", "/nowhere"] {
        for line in [format!("X-Api-Key: {key}"), "X-Api-Key: wrong".to_owned()] {
            let get = shim.get(path, &[&line]);
            let head = shim.request("HEAD", path, &[&line]);
            // hyper leaves out a length of nothing.
            let expected = get.head.replace("\ncontent-length: 0", "");
            assert_eq!((&head.head, &*head.body), (&expected, ""), "{path} {line}");
            let request = format!("HEAD {path} HTTP/1.1\r\nHost: test\r\n{line}\r\n\r\n{NEXT}");
            assert_eq!(statuses(&shim, request.as_bytes()), [get.status(), OK], "{path}");
        }
    }
}

#[test]
fn keys_that_are_no_text_and_lists_without_end() {
    let mut database = Database::new();
    let key = database.key("'event'");
    let shim = Shim::start(&mut database, &["--trusted-proxy", "127.0.0.1"]);
    let head = "GET /api/user/keytest/ HTTP/1.1\r\nHost: test\r\n";
    for value in
        [&b"X-Api-Key: \xff\xfe"[..], b"Authorization: Api-Key \xff.\x80", b"Authorization: \xff x"]
    {
        let request = [head.as_bytes(), value, b"\r\n\r\n"].concat();
        shim.send(&request).assert_problem(401);
    }
    for line in [format!("Api_Key: {key}"), format!("X_Api_Key: {key}")] {
        shim.get("/api/user/keytest/", &[&line]).assert_problem(401);
    }
    let one_line = format!("X-Forwarded-For: {}127.0.0.1", "192.0.2.7, ".repeat(1000));
    let lines = vec!["X-Forwarded-For: 192.0.2.7"; 97];
    let named = format!("X-Api-Key: {key}");
    for forwarded in [vec![&*one_line], lines] {
        let answer = shim.get("/api/user/keytest/", &[&forwarded[..], &[&named]].concat());
        assert!(answer.body.contains(r#""ip_request":"192.0.2.7""#), "{}", answer.body);
    }
}

/// In pieces, with the end of one request before the beginning of the next.
#[test]
fn pieces_of_requests() {
    let mut database = Database::new();
    let shim = Shim::start(&mut database, &[]);
    let mut stream = shim.connect();
    let all = format!("{NEXT}{NEXT}GET /live HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    for piece in all.as_bytes().chunks(31) {
        stream.write_all(piece).unwrap();
        sleep(Duration::from_millis(20));
    }
    let answer = Answer::read(stream);
    let all = format!("{}{}", answer.head, answer.body);
    assert_eq!(all.matches("HTTP/1.1 200 OK").count(), 3, "{all}");
}
