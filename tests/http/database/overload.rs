//! More clients, or more requests, than there is room for.

use crate::database::trips::PATIENT;
use crate::running::asking::Asking;
use apikey_tests::{Answer, Database, Shim, eventually, program};
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;

const KEYTEST: &str = "/api/user/keytest/";

fn assert_shed(answer: &Answer) {
    answer.assert_problem(503);
    assert!(answer.header("retry-after").is_some());
}

/// Four times as many clients as there are places, none of which ever asks anything whole.
#[test]
fn slow_and_silent_clients_lose_their_places_to_good_ones() {
    let mut database = Database::new();
    let key = database.key("'event'");
    let shim = Shim::start(&mut database, &["--max-connections", "500"]);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/http/database/crowd.py");
    let port = shim.address.port().to_string();
    let mut crowd = program("python3", &[script, &port, "1000", "1000"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(crowd.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "there\n");
    let asking = Asking::start(&shim.keytest(), &key, 8);
    sleep(Duration::from_secs(5));
    assert!(crowd.try_wait().unwrap().is_none(), "the crowd is there to the end");
    asking.assert_nothing_was_lost();
    assert!(shim.log().contains("--max-connections"), "{}", shim.log());
    drop(crowd.stdin.take());
    assert!(crowd.wait().unwrap().success());
    assert_eq!(shim.ask(&key).status(), 200);
}

/// All places are taken by requests that wait for Postgres.
#[test]
fn without_a_place_the_answer_is_503_at_once() {
    let mut database = Database::new();
    let key = database.key("'event'");
    let shim = Shim::start(&mut database, &[&PATIENT[..], &["--max-connections", "10"]].concat());
    let mut locking = database.superuser();
    locking.batch_execute("BEGIN; LOCK TABLE apikey.key").unwrap();
    let waiting: Vec<_> = (0..10).map(|_| shim.ask_later(KEYTEST, &key)).collect();
    let mut turned_away = 0;
    eventually("they have their places", || {
        let answer = shim.get("/live", &[]);
        turned_away += u32::from(answer.status() == 503);
        if answer.status() == 503 {
            assert_shed(&answer);
            assert_eq!(answer.header("connection"), Some("close"));
        }
        turned_away == 3
    });
    locking.batch_execute("COMMIT").unwrap();
    for stream in waiting {
        assert_eq!(Answer::read(stream).status(), 200);
    }
    assert_eq!(shim.ask(&key).status(), 200);
    assert!(shim.log().contains("--max-connections"), "{}", shim.log());
}

/// The one connection is asked about a key, and four requests wait for it.
#[test]
fn past_the_queue_for_postgres_the_answer_is_503_at_once() {
    let mut database = Database::new();
    let key = database.key("'event'");
    let flags = [&PATIENT[..], &["--pool-size", "1", "--pool-queue", "4"]].concat();
    let shim = Shim::start(&mut database, &flags);
    let mut locking = database.superuser();
    locking.batch_execute("BEGIN; LOCK TABLE apikey.key").unwrap();
    let mut waiting = vec![shim.ask_later(KEYTEST, &key)];
    database.wait_for_blocked(1);
    waiting.extend((0..4 + 3).map(|_| shim.ask_later(KEYTEST, &key)));
    let is_answered = |stream: &mut TcpStream| {
        stream.set_nonblocking(true).unwrap();
        let is_answered = stream.peek(&mut [0]).is_ok();
        stream.set_nonblocking(false).unwrap();
        is_answered
    };
    let mut shed = Vec::new();
    eventually("three too many are answered", || {
        shed.extend(waiting.extract_if(.., is_answered));
        shed.len() == 3
    });
    shed.into_iter().for_each(|stream| assert_shed(&Answer::read(stream)));
    assert_eq!(shim.get("/live", &[]).status(), 200);
    locking.batch_execute("COMMIT").unwrap();
    for stream in waiting {
        assert_eq!(Answer::read(stream).status(), 200);
    }
    assert!(shim.log().contains("--pool-queue"), "{}", shim.log());
}
