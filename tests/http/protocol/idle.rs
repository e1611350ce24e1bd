//! How long a connection may be kept without a request, and how long a request may take to be sent
//! on it.

use crate::protocol::http2::{Http2, REQUEST};
use apikey_tests::{Answer, Certificate, Database, Shim};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread::sleep;
use std::time::Duration;

const HEAD: &str = "GET /live HTTP/1.1\r\nHost: test\r\n";

/// A connection on which something has been asked, with what was sent behind that.
fn kept(shim: &Shim, more: &str) -> TcpStream {
    let mut stream = shim.connect();
    stream.write_all(format!("{HEAD}\r\n{more}").as_bytes()).unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"}") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        answer.extend(byte);
    }
    stream
}

fn assert_is_closed_and_told_nothing(mut stream: TcpStream) {
    let mut told = Vec::new();
    stream.read_to_end(&mut told).unwrap();
    assert_eq!(String::from_utf8_lossy(&told), "");
}

/// Longer than a client may take for a head, several times.
#[test]
fn a_kept_connection_outlives_the_time_for_a_head() {
    let mut database = Database::new();
    let shim = Shim::start(&mut database, &["--header-timeout", "500ms"]);
    let mut streams = [kept(&shim, ""), kept(&shim, "\r\n")];
    for _ in 0..2 {
        sleep(Duration::from_millis(1800));
        for stream in &mut streams {
            write!(stream, "{HEAD}\r\n").unwrap();
            let mut answer = [0; 1024];
            let length = stream.read(&mut answer).unwrap();
            assert!(answer[..length].starts_with(b"HTTP/1.1 200 OK\r\n"));
        }
    }
}

#[test]
fn an_idle_connection_is_closed_in_its_own_time() {
    let flags = ["--idle-timeout", "700ms", "--header-timeout"];
    for header_timeout in ["200ms", "1h"] {
        let shim = Shim::start(&mut Database::new(), &[&flags[..], &[header_timeout]].concat());
        assert_is_closed_and_told_nothing(kept(&shim, ""));
        assert_is_closed_and_told_nothing(kept(&shim, "\r\n\r\n"));
    }
}

/// Begun together with the request before, at once, or after a while; it would have an hour to be
/// silent.
#[test]
fn a_head_that_is_begun_has_its_own_time() {
    let mut database = Database::new();
    let flags = ["--header-timeout", "1s", "--idle-timeout", "1h"];
    let shim = Shim::start(&mut database, &flags);
    let mut at_once = kept(&shim, "");
    at_once.write_all(HEAD.as_bytes()).unwrap();
    let together = kept(&shim, HEAD);
    let mut later = kept(&shim, "");
    sleep(Duration::from_millis(1500));
    later.write_all(HEAD.as_bytes()).unwrap();
    let mut dripping = kept(&shim, "");
    for byte in HEAD.bytes().cycle().take(150) {
        if dripping.write_all(&[byte]).is_err() {
            break;
        }
        sleep(Duration::from_millis(20));
    }
    for stream in [at_once, together, later, dripping] {
        let answer = Answer::read(stream);
        answer.assert_problem(408);
        assert_eq!(answer.header("connection"), Some("close"));
    }
    let silent = shim.connect();
    assert_is_closed_and_told_nothing(silent);
}

/// The whole of it, also if the client begins shortly before we look whether it does.
#[test]
fn a_head_gets_its_time_whenever_it_begins() {
    let mut database = Database::new();
    let shim = Shim::start(&mut database, &["--header-timeout", "6s"]);
    let mut stream = kept(&shim, "");
    sleep(Duration::from_secs(5));
    stream.write_all(HEAD.as_bytes()).unwrap();
    sleep(Duration::from_secs(2));
    stream.write_all(b"Connection: close\r\n\r\n").unwrap();
    assert_eq!(Answer::read(stream).status(), 200);
}

/// When its place is wanted, an idle connection goes before the others.
#[test]
fn an_idle_connection_loses_its_place_first() {
    let mut database = Database::new();
    let flags = ["--max-connections", "2", "--idle-timeout", "1h", "--header-timeout", "1h"];
    let shim = Shim::start(&mut database, &flags);
    let idle = kept(&shim, "");
    let mut half = shim.connect();
    half.write_all(HEAD.as_bytes()).unwrap();
    sleep(Duration::from_millis(300));
    assert_eq!(shim.get("/live", &[]).status(), 200);
    assert_is_closed_and_told_nothing(idle);
    half.write_all(b"Connection: close\r\n\r\n").unwrap();
    assert_eq!(Answer::read(half).status(), 200);
}

#[test]
fn with_http2_it_is_the_same() {
    let tls = Certificate::new();
    let (tls, request) = (tls.flags(), [&REQUEST[..], &[(":authority", "test")]].concat());
    let start = |database: &mut Database, header: &str, idle: &str| {
        let times = ["--header-timeout", header, "--idle-timeout", idle];
        Shim::start(database, &[&tls.each_ref().map(String::as_str)[..], &times].concat())
    };
    let mut database = Database::new();
    let shim = start(&mut database, "4s", "1h");
    let mut client = Http2::connect(&shim);
    client.head(1, true, &request);
    assert!(!client.answer(1).is_empty());
    sleep(Duration::from_secs(5));
    client.head(3, false, &request);
    client.rest(3, &[("x", "y")]);
    assert!(!client.answer(3).is_empty(), "it outlives the time for a head");
    client.head(5, false, &request);
    // A head that is begun has its own time.
    client.assert_is_hung_up_on();

    let mut database = Database::new();
    let shim = start(&mut database, "1h", "500ms");
    let mut client = Http2::connect(&shim);
    client.head(1, true, &request);
    assert!(!client.answer(1).is_empty());
    client.assert_is_hung_up_on();
}
