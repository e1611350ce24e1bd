//! The lines of requests, and the name that each request has.

use apikey_tests::{
    Answer, Cluster, Database, PUBLISHED_KEY, Samples, Shim, eventually, free_address,
    from_test_script, program, run, wrong_secret,
};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

const ON: [&str; 1] = ["--log-requests"];

fn lines(shim: &Shim) -> Vec<Value> {
    let parse =
        |line: &str| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"));
    shim.log().lines().map(parse).collect()
}

fn requests(shim: &Shim) -> Vec<Value> {
    let is_request = |line: &Value| line["target"] == "apikey_shim::request";
    lines(shim).into_iter().filter(is_request).collect()
}

fn id(answer: &Answer) -> &str {
    answer.request_id.0.as_deref().unwrap_or_else(|| panic!("no id: {}", answer.head))
}

#[test]
fn each_request_has_a_line_that_is_json() {
    let mut database = Database::new();
    let key = database.key("'event'");
    let shim = Shim::start(&mut database, &[&ON[..], &["--trusted-proxy", "127.0.0.1"]].concat());
    let known = [
        "X-Request-Id: 6f0b3c3e-6f0e-4b52-9d0c-3a1f6f6f3a11",
        "X-Forwarded-For: 192.0.2.7",
        &format!("Authorization: Api-Key {key}"),
    ];
    let good = shim.get("/api/user/keytest/", &known);
    assert_eq!(good.status(), 200);
    assert_eq!(id(&good), "6f0b3c3e-6f0e-4b52-9d0c-3a1f6f6f3a11");
    let bad = shim.get("/nowhere", &["X-Api-Key: Map0K71T.secret"]);
    let none = shim.send(b"nonsense\r\n\r\n");
    assert_eq!((bad.status(), none.status()), (404, 400));

    let requests = requests(&shim);
    let [first, second, third] = &requests[..] else { panic!("{requests:#?}") };
    for (line, expected) in [
        (
            first,
            json!({
                "level": "INFO", "message": "answered", "request_id": id(&good), "route": "keytest",
                "method": "GET", "status": 200, "client": "192.0.2.7", "peer": "127.0.0.1",
                "prefix": &key[..8],
            }),
        ),
        (
            second,
            json!({
                "request_id": id(&bad), "route": "other", "method": "GET", "status": 404,
                "client": null, "prefix": null,
            }),
        ),
        (third, json!({ "request_id": id(&none), "route": "none", "status": 400 })),
    ] {
        for (name, value) in expected.as_object().unwrap() {
            assert_eq!(&line[name], value, "{name} in {line}");
        }
        assert!(line["duration_ms"].as_f64().is_some_and(|time| time >= 0.0), "{line}");
        assert!(line["timestamp"].as_str().is_some_and(|time| time.ends_with('Z')), "{line}");
    }
}

#[test]
fn a_line_is_written_only_where_it_was_asked_for() {
    let mut database = Database::new();
    let checker = database.checker();
    let conninfo = database.conninfo(&checker);
    for (flags, expected) in [
        (&[][..], 0),
        (&["--log", "info"], 0),
        (&["--log", "info", "--log-requests"], 1),
        (&["--log", "warn,apikey_shim::request=info"], 1),
    ] {
        let shim = Shim::start_as(&checker, &conninfo, flags);
        assert_eq!(shim.get("/live", &[]).status(), 200);
        assert_eq!(requests(&shim).len(), expected, "{flags:?}: {}", shim.log());
    }
}

#[test]
fn what_is_no_good_id_reaches_neither_log_nor_answer() {
    let mut database = Database::new();
    let key = database.key("'event'");
    let shim = Shim::start(&mut database, &ON);
    let long = "x".repeat(129);
    for bad in [
        "",
        "zzzz zzzz",
        "zzzz\tzzzz",
        "zzzz\"zzzz",
        "zzzz\u{1b}[31mzzzz",
        "zzzz\u{7f}zzzz",
        "zzzzé",
        "zzzz{}",
        "zzzz%0d%0azzzz",
        &long,
        &key,
    ] {
        let answer = shim.get("/live", &[&format!("X-Request-Id: {bad}")]);
        let made = id(&answer);
        assert_ne!(made, bad);
        assert!(made.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{bad:?} became {made}");
    }
    // A control character in any header is a 400, and a break is another header.
    shim.get("/live", &["X-Request-Id: zzzz\u{1}zzzz"]).assert_problem(400);
    shim.get("/live", &["X-Request-Id: zzzz\0zzzz"]).assert_problem(400);
    let two = shim.get("/live", &["X-Request-Id: zzzza", "X-Request-Id: zzzzb"]);
    assert!(!id(&two).starts_with("zzzz"));
    let log = shim.log();
    for bad in ["zzzz", &long, &key[9..]] {
        assert!(!log.contains(bad), "{bad} is in {log}");
    }
    // Nobody has another's.
    let ids: Vec<_> = (0..20).map(|_| id(&shim.get("/live", &[])).to_owned()).collect();
    let distinct: std::collections::BTreeSet<_> = ids.iter().collect();
    assert_eq!(distinct.len(), ids.len(), "{ids:?}");
}

/// However a key is sent, at the most talkative level, in both formats.
#[test]
fn a_secret_is_in_no_line() {
    let mut database = Database::new();
    let key = database.key("'event'");
    let wrong = wrong_secret(&key);
    let chosen = "Chosen.by-a-person-and-not-of-our-shape";
    let checker = database.checker();
    let conninfo = database.conninfo(&checker);
    for format in ["json", "text"] {
        let flags = [&ON[..], &["--log", "trace", "--log-format", format]].concat();
        let shim = Shim::start_as(&checker, &conninfo, &flags);
        for key in [&key, &wrong, PUBLISHED_KEY, chosen] {
            for line in [
                format!("Authorization: Api-Key {key}"),
                format!("Authorization: Bearer {key}"),
                format!("Authorization: Basic {key}"),
                format!("Authorization: {key}"),
                format!("X-Api-Key: {key}"),
                format!("X-Api-Key: {key}{key}"),
                format!("X-Request-Id: {key}"),
                format!("Cookie: key={key}"),
                format!("X-Forwarded-For: {key}"),
                format!("Host: {key}"),
                format!("Origin: https://{key}"),
                format!("{key}: {key}"),
                key.to_owned(),
            ] {
                shim.get("/api/user/keytest/", &[&line]);
            }
            shim.get(&format!("/api/user/keytest/?key={key}"), &[]);
            shim.get(&format!("/{key}"), &[]);
            shim.request(key, "/live", &[]);
            for target in [
                "/live".to_owned(),
                format!("http://{key}/live"),
                format!("http://{key}@host/live"),
            ] {
                shim.send(format!("GET {target} HTTP/1.1\r\nHost: {key}\r\n\r\n").as_bytes());
            }
            shim.send(format!("GET /live {key}\r\n\r\n").as_bytes());
            shim.send(
                format!("POST /live HTTP/1.1\r\nHost: test\r\nContent-Length: 41\r\n\r\n{key}")
                    .as_bytes(),
            );
            shim.send(format!("{key}\r\n\r\n").as_bytes());
        }
        let log = shim.log();
        assert!(log.contains(&key[..8]), "the prefix is there: {log}");
        for secret in [&key[9..], &wrong[9..], &PUBLISHED_KEY[9..], &chosen[7..]] {
            assert!(!log.contains(secret), "{secret} is in {log}");
        }
    }
}

/// A hundred failures are no hundred lines, and none is left out of the count.
#[test]
fn an_outage_is_a_line_a_second() {
    let login = Cluster::shared().superuser();
    let shim = Shim::start_as(&login, "host=127.0.0.1 port=1 user=nobody", &[]);
    for _ in 0..100 {
        assert_eq!(shim.ask(PUBLISHED_KEY).status(), 503);
    }
    eventually("all are counted", || {
        let counted =
            failures(&shim).into_iter().map(|line| line["requests"].as_u64().unwrap_or(1));
        counted.sum::<u64>() == 100
    });
    let failures = failures(&shim);
    assert!(failures[0]["cause"].as_str().unwrap().contains("cannot connect"), "{failures:#?}");
    assert!(failures.len() <= 20, "{failures:#?}");
}

fn failures(shim: &Shim) -> Vec<Value> {
    let is_failure = |line: &Value| line["level"] == "WARN" && line["kind"] == "connect";
    lines(shim).into_iter().filter(is_failure).collect()
}

/// Standard error is a pipe that nobody reads, full after some hundred lines; 8192 wait, and the
/// others are lost.
#[test]
fn a_reader_that_stands_still_holds_up_nobody() {
    let (address, metrics) = (free_address(), free_address());
    let mut shim = Command::new(from_test_script("APIKEY_SHIM"))
        .args(["--database", "postgresql://u@127.0.0.1:1/d", "--log-requests", "--log", "info"])
        .args(["--listen", &address.to_string(), "--metrics-listen", &metrics.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    eventually("it listens", || TcpStream::connect(metrics).is_ok());
    let (more, last) = ("GET /live HTTP/1.1\r\nHost: test\r\n", "Connection: close\r\n\r\n");
    let requests = format!("{}{more}{last}", format!("{more}\r\n").repeat(99));
    for _ in 0..120 {
        assert_eq!(exchange(address, &requests).matches("HTTP/1.1 200 OK").count(), 100);
    }
    let scrape = exchange(metrics, &format!("GET /metrics HTTP/1.1\r\nHost: test\r\n{last}"));
    let samples = Samples::parse(scrape.split_once("\r\n\r\n").unwrap().1);
    assert!(samples.value("apikey_log_lines_lost_total{}") > 1000.0);
    run(&mut program("kill", &[&shim.id().to_string()])).success();
    eventually("it ends", || shim.try_wait().unwrap().is_some());
    assert_eq!(shim.wait().unwrap().code(), Some(0));
}

fn exchange(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}
