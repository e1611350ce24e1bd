//! Browsers that keep the page waiting, many more than it has places for.

use apikey_tests::{Certificate, Login, Office, Visitor, eventually};
use std::io::Write;
use std::net::TcpStream;

/// Longer than any of these tests: nobody is sent away for his time alone.
const PATIENT: [&str; 4] = ["--header-timeout", "5m", "--request-timeout", "30s"];

const HEAD: &str = "GET /sign-in HTTP/1.1\r\nHost: localhost\r\n";
const FORM: &str = "POST /sign-in HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\nrole=";
/// Type and version of a record of TLS that never comes.
const HANDSHAKE: &str = "\x16\x03\x01";

/// Somebody who says so much, and then waits.
fn come(office: &Office, said: &str) -> TcpStream {
    let mut stream = TcpStream::connect(office.shim.admin_place("")).unwrap();
    let _ = stream.write_all(said.as_bytes());
    stream
}

fn crowd(office: &Office, said: &str) -> Vec<TcpStream> {
    (0..150).map(|_| come(office, said)).collect()
}

fn assert_works(mut visitor: Visitor, login: &Login) {
    // Whoever has come within the last tenth of a second keeps his place.
    eventually("there is a place", || visitor.get("/sign-in").status() == 200);
    assert_eq!(visitor.sign_in(login).status(), 303);
    for _ in 0..5 {
        assert_eq!(visitor.get("/keys").status(), 200);
    }
}

#[test]
fn who_is_silent_or_slow_loses_his_place_to_who_asks() {
    let office = Office::open(&PATIENT);
    let mut crowds = Vec::new();
    for said in ["", HEAD, FORM] {
        crowds.push(crowd(&office, said));
        assert_works(office.visitor(), &office.ada);
    }
    assert!(office.shim.log().contains("--admin-listen"), "it is in the log");
}

#[test]
fn handshakes_that_stall_count_too() {
    let certificate = Certificate::new();
    let tls = certificate.flags();
    let flags: Vec<_> =
        tls.iter().map(String::as_str).chain(["--admin-tls"]).chain(PATIENT).collect();
    let office = Office::open(&flags);
    let mut crowds = Vec::new();
    for said in ["", HANDSHAKE] {
        crowds.push(crowd(&office, said));
        assert_works(office.visitor_by_tls(&certificate.certificate()), &office.ada);
    }
}

/// All places are taken by people who are about to sign in, and Postgres lets them wait: nobody can
/// be sent away.
#[test]
fn without_a_place_one_is_told_so() {
    let office = Office::open(&[&PATIENT[..], &["--trusted-proxy", "127.0.0.1"]].concat());
    // Its first connection asks about the extension, too: it is not to be among those who wait.
    eventually("the shim is ready", || office.shim.get("/ready", &[]).status() == 200);
    let mut locking = office.database.superuser();
    locking.batch_execute("BEGIN; LOCK TABLE pg_catalog.pg_extension").unwrap();
    let token = "0".repeat(64);
    let sign_in = |role: &str, n: usize| {
        let form = format!("csrf={token}&role={role}&password={}", office.ada.password);
        let form = form.replace(' ', "+");
        format!(
            "POST /sign-in HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 192.0.2.{n}\r\nCookie: apikey-sign-in={token}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
            form.len()
        )
    };
    let mut waiting: Vec<_> =
        (0..4).map(|n| come(&office, &sign_in(&office.ada.role, n))).collect();
    office.database.wait_for_blocked(4);
    waiting.extend((4..128).map(|n| come(&office, &sign_in(&format!("role_{n}"), n))));
    let mut told = office.visitor().get("/sign-in");
    eventually("one is told", || {
        told = office.visitor().get("/sign-in");
        told.status() == 503
    });
    assert!(told.body.contains("Too many browsers"), "{}", told.body);
    assert_eq!(told.header("connection"), Some("close"));
    locking.batch_execute("COMMIT").unwrap();
    drop(waiting);
    eventually("there is a place again", || office.visitor().get("/sign-in").status() == 200);
}

/// However many requests one session has, others are answered.
#[test]
fn one_session_leaves_places_for_others() {
    let office = Office::open(&PATIENT);
    let (mut ada, mut audrey) = (office.desk_of(&office.ada), office.desk_of(&office.audrey));
    assert_eq!(ada.get("/keys").status(), 200);
    let mut locking = office.database.superuser();
    locking.batch_execute("BEGIN; LOCK TABLE apikey.key").unwrap();
    let cookie = ada.cookie("apikey-session");
    let ask = format!("GET /keys HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\n\r\n");
    let waiting = crowd(&office, &ask);
    office.database.wait_for_blocked(1);
    // Whoever has come within the last tenth of a second keeps his place.
    eventually("there is a place", || audrey.get("/keys/new").status() == 403);
    for _ in 0..5 {
        assert_eq!(ada.get("/keys").status(), 503, "too many of this session");
        let answer = audrey.get("/keys/new");
        assert!(answer.body.contains("may not do this"), "{}", answer.body);
    }
    locking.batch_execute("COMMIT").unwrap();
    drop(waiting);
    eventually("it has its turn again", || ada.get("/keys").status() == 200);
}
