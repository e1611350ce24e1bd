//! The names that the page goes by: a browser that was led here under another one gets nothing (DNS
//! rebinding).

use apikey_tests::{Answer, Office, Shim};
use std::io::Write;
use std::net::TcpStream;

fn ask(shim: &Shim, head: &str) -> Answer {
    let mut stream = TcpStream::connect(shim.admin_place("")).unwrap();
    write!(stream, "{head}Connection: close\r\n\r\n").unwrap();
    Answer::read(stream)
}

fn status(shim: &Shim, host: &str) -> u16 {
    ask(shim, &format!("GET /sign-in HTTP/1.1\r\nHost: {host}\r\n")).status()
}

#[test]
fn it_answers_by_the_names_that_it_goes_by_and_by_no_other() {
    let office = Office::open(&["--admin-host", "Keys.Example.org,192.0.2.7"]);
    for host in [
        "localhost",
        "LOCALHOST:80",
        "127.0.0.1",
        "127.0.0.1:8081",
        "[::1]:8081",
        "[0:0:0:0:0:0:0:1]",
        "keys.example.org",
        "KEYS.example.ORG.:443",
        "192.0.2.7",
    ] {
        assert_eq!(status(&office.shim, host), 200, "{host}");
    }
    for host in [
        "evil.example",
        "evil.example:8081",
        "example.org",
        "a.keys.example.org",
        "keys.example.org.evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "127.0.0.2",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0.0.0.0",
        "[::ffff:127.0.0.1]",
        "[::]",
    ] {
        assert_eq!(status(&office.shim, host), 421, "{host}");
    }
    for host in [
        "",
        ":80",
        "localhost..",
        "evil.example, localhost",
        "localhost:80:80",
        "localhost@evil.example",
        "evil.example#@localhost",
        "localhost/",
        "local%68ost",
        "[::1",
        "::1",
    ] {
        assert_eq!(status(&office.shim, host), 400, "{host}");
    }
}

#[test]
fn a_request_says_once_what_it_is_for() {
    let office = Office::open(&[]);
    for (head, expected) in [
        ("GET /sign-in HTTP/1.1\r\n", 400),
        ("GET /sign-in HTTP/1.0\r\n", 400),
        ("GET /sign-in HTTP/1.0\r\nHost: localhost\r\n", 200),
        ("GET /sign-in HTTP/1.0\r\nHost: evil.example\r\n", 421),
        ("GET /sign-in HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n", 400),
        ("GET /sign-in HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n", 400),
        // The address itself counts, where it has a host (RFC 9112, 3.2.2).
        ("GET http://localhost/sign-in HTTP/1.1\r\nHost: localhost\r\n", 200),
        ("GET http://evil.example/sign-in HTTP/1.1\r\nHost: localhost\r\n", 421),
        ("GET http://localhost@evil.example/sign-in HTTP/1.1\r\nHost: localhost\r\n", 400),
        // What only proxies say, and anybody may.
        ("GET /sign-in HTTP/1.1\r\nHost: evil.example\r\nX-Forwarded-Host: localhost\r\n", 421),
        ("GET /sign-in HTTP/1.1\r\nHost: evil.example\r\nForwarded: host=localhost\r\n", 421),
        // Whatever is asked for.
        ("GET /assets/style.css HTTP/1.1\r\nHost: evil.example\r\n", 421),
        ("POST /sign-in HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 0\r\n", 421),
    ] {
        assert_eq!(ask(&office.shim, head).status(), expected, "{head}");
    }
}

/// Even with a cookie that is good, which a browser would not send there.
#[test]
fn under_another_name_there_is_no_session_and_the_page_says_what_to_set() {
    let office = Office::open(&[]);
    let mut ada = office.desk_of(&office.ada);
    ada.get("/keys");
    let cookie = format!("Cookie: {}", ada.cookie("apikey-session"));
    let host = ["--header", "Host: Keys.example.org:8081", "--header", &cookie];
    let answer = ada.ask("/keys", &host);
    assert_eq!(answer.status(), 421);
    assert!(answer.body.contains("--admin-host keys.example.org<"), "{}", answer.body);
    assert!(!answer.body.contains("csrf") && !answer.body.contains(&office.ada.role));
    assert_eq!(ada.get("/keys").status(), 200);
}
