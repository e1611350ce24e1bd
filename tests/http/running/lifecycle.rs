//! From start to SIGTERM.

use apikey_tests::{Answer, Database, Shim};
use std::io::Write;
use std::net::TcpStream;
use std::thread::sleep;
use std::time::Duration;

/// What is in flight gets its answer, and nothing new is accepted.
#[test]
fn sigterm_finishes_what_is_in_flight() {
    for signal in ["TERM", "INT"] {
        let mut database = Database::new();
        let key = database.key("'event'");
        let mut shim = Shim::start(&mut database, &[]);
        let idle = shim.connect();
        assert_eq!(shim.ask(&key).status(), 200);

        let mut locking = database.superuser();
        locking.batch_execute("BEGIN; LOCK TABLE apikey.key").unwrap();
        let mut waiting = shim.connect();
        let request =
            format!("GET /api/user/keytest/ HTTP/1.1\r\nHost: test\r\nX-Api-Key: {key}\r\n\r\n");
        waiting.write_all(request.as_bytes()).unwrap();
        database.wait_for_blocked(1);
        shim.signal(signal);
        while TcpStream::connect(shim.address).is_ok() {
            sleep(Duration::from_millis(20));
        }
        locking.batch_execute("COMMIT").unwrap();
        let answer = Answer::read(waiting);
        assert_eq!(answer.status(), 200, "{}", answer.head);
        assert_eq!(shim.wait().code(), Some(0));
        drop(idle);
    }
}

/// A client that never finishes its request does not keep the shim from ending.
#[test]
fn sigterm_does_not_wait_for_ever() {
    let mut database = Database::new();
    let flags =
        ["--shutdown-timeout", "300ms", "--request-timeout", "1h", "--header-timeout", "1h"];
    let mut shim = Shim::start(&mut database, &flags);
    let key = database.key("'event'");
    let mut locking = database.superuser();
    locking.batch_execute("BEGIN; LOCK TABLE apikey.key").unwrap();
    let mut waiting = shim.connect();
    let request =
        format!("GET /api/user/keytest/ HTTP/1.1\r\nHost: test\r\nX-Api-Key: {key}\r\n\r\n");
    waiting.write_all(request.as_bytes()).unwrap();
    let mut half = shim.connect();
    half.write_all(b"GET /live HT").unwrap();
    sleep(Duration::from_millis(200));
    shim.signal("TERM");
    assert_eq!(shim.wait().code(), Some(0));
}
