//! Slow, large and malformed requests.

use apikey_tests::{Answer, Database, Shim};
use std::io::Write;
use std::thread::sleep;
use std::time::Duration;

const START: &[u8] = b"GET /live HTTP/1.1\r\nHost: test\r\n";

#[test]
fn too_large() {
    let mut database = Database::new();
    let key = database.key("'event'");
    let shim = Shim::start(&mut database, &["--max-header-bytes", "8192"]);
    let with_header =
        |size: usize| shim.get("/live", &[&format!("X-Filler: {}", "f".repeat(size))]);
    assert_eq!(with_header(8000).status(), 200);
    for size in [8192, 10_000, 200_000] {
        let answer = with_header(size);
        answer.assert_problem(431);
        assert_eq!(answer.header("connection"), Some("close"));
    }
    let many: Vec<_> = (0..200).map(|number| format!("X-{number}: x")).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    shim.get("/live", &many).assert_problem(431);
    shim.get(&format!("/{}", "p".repeat(10_000)), &[]).assert_problem(414);
    assert_eq!(shim.ask(&key).status(), 200);
}

/// A hundred, with `Host`, however short they are.
#[test]
fn too_many_lines() {
    let mut database = Database::new();
    let shim = Shim::start(&mut database, &[]);
    let with_lines = |count: usize| {
        let lines: Vec<_> = (1..count).map(|number| format!("X-{number}: x")).collect();
        shim.get("/live", &lines.iter().map(String::as_str).collect::<Vec<_>>())
    };
    assert_eq!(with_lines(100).status(), 200);
    let answer = with_lines(101);
    answer.assert_problem(431);
    assert_eq!(answer.header("connection"), Some("close"));
}

#[test]
fn too_slow() {
    let mut database = Database::new();
    let shim = Shim::start(&mut database, &["--header-timeout", "2s"]);
    let mut silent = shim.connect();
    let mut half = shim.connect();
    half.write_all(START).unwrap();
    let mut dripping = shim.connect();
    for byte in START.iter().cycle().take(150) {
        if dripping.write_all(&[*byte]).is_err() {
            break;
        }
        sleep(Duration::from_millis(30));
    }
    for slow in [half, dripping] {
        let answer = Answer::read(slow);
        answer.assert_problem(408);
        assert_eq!(answer.header("connection"), Some("close"));
    }
    // One that says nothing is closed, and told nothing.
    let mut told = Vec::new();
    std::io::Read::read_to_end(&mut silent, &mut told).unwrap();
    assert_eq!(String::from_utf8_lossy(&told), "");
    assert_eq!(shim.get("/live", &[]).status(), 200);
}

#[test]
fn malformed() {
    let mut database = Database::new();
    let shim = Shim::start(&mut database, &[]);
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"hello\r\n\r\n",
        b"GET /live\r\n\r\n",
        b"GET /live HTTP/9.9\r\n\r\n",
        b"GET /live HTTP/1.1\r\nHost test\r\n\r\n",
        b"GET /live HTTP/1.1\r\nNa me: x\r\n\r\n",
        b"GET /live HTTP/1.1\r\nName: \x00\r\n\r\n",
        b"GET /live HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let answer = shim.send(bytes);
        answer.assert_problem(400);
        assert_eq!(answer.header("connection"), Some("close"), "{}", answer.head);
    }
}

/// As many slow clients as there are places: a good one gets the place of the first of them.
#[test]
fn a_slow_client_costs_one_place() {
    let mut database = Database::new();
    let key = database.key("'event'");
    let shim = Shim::start(&mut database, &["--max-connections", "20", "--header-timeout", "30s"]);
    let slow: Vec<_> = (0..19)
        .map(|_| {
            let mut stream = shim.connect();
            stream.write_all(START).unwrap();
            stream
        })
        .collect();
    assert_eq!(shim.ask(&key).status(), 200);
    let mut last = shim.connect();
    last.write_all(START).unwrap();
    sleep(Duration::from_millis(200));
    assert_eq!(shim.ask(&key).status(), 200);
    let mut slow = slow.into_iter();
    let answer = Answer::read(slow.next().unwrap());
    answer.assert_problem(503);
    assert!(answer.header("retry-after").is_some());
    // The others can go on.
    last.write_all(b"Connection: close\r\n\r\n").unwrap();
    assert_eq!(Answer::read(last).status(), 200);
}
