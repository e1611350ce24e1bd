//! `/auth` and the keytest share round trips to Postgres, and no answers.

use crate::database::trips::{PATIENT, hold, let_arrive, trips};
use apikey_tests::{Answer, Database, Login, Shim, prove, wrong_secret};
use std::io::Write;
use std::net::TcpStream;

fn send(shim: &Shim, path: &str, key: &str, from: &str) -> TcpStream {
    let mut stream = shim.connect();
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: test\r\nAuthorization: Api-Key {key}\r\n\
         X-Forwarded-For: {from}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream
}

/// A role for the shim, whose statements the server logs with their parameters.
fn logged_authorizer(database: &mut Database) -> Login {
    let login = database.authorizer();
    let sql = format!("ALTER ROLE {} SET log_statement = 'all'", login.role);
    database.superuser().batch_execute(&sql).unwrap();
    login
}

/// A request and what its answer has to have.
struct Case {
    path: String,
    key: String,
    from: String,
    status: u16,
    shown: String,
}

fn cases(database: &Database) -> (Vec<String>, Vec<Case>) {
    let (mut keys, mut cases) = (Vec::new(), Vec::new());
    for number in 0..8 {
        let (level, home) = (format!("level{number}"), format!("192.0.2.{number}"));
        let key = database.key(&format!("'{level}', '{home}'"));
        let pass = format!("/auth?scope={level}");
        let next = format!("/auth?scope=level{}", number + 1);
        let prefix = format!("x-apikey-prefix: {}", &key[..8]);
        for (path, key, from, status, shown) in [
            ("/api/user/keytest/", &key, &*home, 200, &*level),
            (&pass, &key, &home, 200, &prefix),
            ("/auth", &key, &home, 200, &prefix),
            (&pass, &key, "192.0.2.99", 403, "from this address"),
            (&next, &key, &home, 403, "does not grant"),
            (&pass, &wrong_secret(&key), &home, 401, "no valid API key"),
        ] {
            let (path, from, shown) = (path.to_owned(), from.to_owned(), shown.to_owned());
            cases.push(Case { path, key: key.clone(), from, status, shown });
        }
        keys.push(key);
    }
    (keys, cases)
}

#[track_caller]
fn assert_answered(case: &Case, answer: &Answer) {
    let Case { path, from, status, shown, .. } = case;
    assert_eq!(answer.status(), *status, "{path} {from}: {}", answer.body);
    let whole = format!("{}\n\n{}", answer.head, answer.body);
    assert!(whole.contains(shown), "{path} {from}: {whole}");
}

#[test]
fn each_gets_the_answer_to_its_own_question() {
    let mut database = Database::new();
    let (keys, cases) = cases(&database);
    keys.iter().for_each(|key| prove(&mut database.superuser(), key));
    let login = logged_authorizer(&mut database);
    let flags = [&PATIENT[..], &["--pool-size", "1", "--trusted-proxy", "127.0.0.1"]].concat();
    let shim = Shim::start_as(&login, &database.conninfo(&login), &flags);
    let mut holding = hold(&database);
    let ask = |case: &Case| send(&shim, &case.path, &case.key, &case.from);
    let asked: Vec<_> = cases.iter().map(|case| (case, ask(case))).collect();
    database.wait_for_blocked(1);
    let_arrive(&shim);
    holding.batch_execute("COMMIT").unwrap();
    for (case, stream) in asked {
        assert_answered(case, &Answer::read(stream));
    }
    let keys: Vec<_> = keys.iter().map(String::as_str).collect();
    let trips = trips(&database, &keys);
    assert_eq!(trips.iter().sum::<usize>(), 5 * keys.len(), "each was asked once: {trips:?}");
    // 48 by 16 are 3 of two statements each, and those that were alone at first.
    assert!(trips.len() < 20, "{trips:?}");
}

#[test]
fn a_crowd_gets_the_right_answers() {
    let mut database = Database::new();
    let (_, cases) = cases(&database);
    let shim = Shim::start_for_auth(&mut database, &["--trusted-proxy", "127.0.0.1"]);
    std::thread::scope(|scope| {
        for asker in 0..12 {
            let (shim, cases) = (&shim, &cases);
            scope.spawn(move || {
                for turn in 0..40 {
                    let case = &cases[(asker * 7 + turn) % cases.len()];
                    let stream = send(shim, &case.path, &case.key, &case.from);
                    assert_answered(case, &Answer::read(stream));
                }
            });
        }
    });
}

/// Nobody's keytest fails for the lack of a right to authorize, though they go together.
#[test]
fn a_statement_that_fails_does_not_fail_the_other() {
    let mut database = Database::new();
    let keys: Vec<_> = (0..10).map(|_| database.key("'event'")).collect();
    let shim = Shim::start(&mut database, &[&PATIENT[..], &["--pool-size", "1"]].concat());
    let mut holding = hold(&database);
    let first = send(&shim, "/api/user/keytest/", &keys[0], "");
    database.wait_for_blocked(1);
    let ask_all = |path| keys.iter().map(|key| send(&shim, path, key, "")).collect::<Vec<_>>();
    let (tests, decisions) = (ask_all("/api/user/keytest/"), ask_all("/auth"));
    let_arrive(&shim);
    holding.batch_execute("COMMIT").unwrap();
    for stream in [first].into_iter().chain(tests) {
        assert_eq!(Answer::read(stream).status(), 200);
    }
    for stream in decisions {
        Answer::read(stream).assert_problem(503);
    }
}
