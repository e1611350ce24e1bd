//! Requests that share a round trip to Postgres. Each gets its own answer, and nobody else's
//! trouble.

use apikey_tests::{Answer, Cluster, Database, Login, Shim, one, prove};
use postgres::Client;
use std::io::Write;
use std::net::TcpStream;
use std::thread::sleep;
use std::time::Duration;

/// So that nothing ends before the test says so.
pub const PATIENT: [&str; 4] = ["--pool-wait", "30s", "--request-timeout", "30s"];

fn send(shim: &Shim, header_lines: &[String]) -> TcpStream {
    let mut stream = shim.connect();
    let lines = header_lines.join("\r\n");
    let head = format!("GET /api/user/keytest/ HTTP/1.1\r\nConnection: close\r\n{lines}\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    stream
}

fn send_key(shim: &Shim, key: &str) -> TcpStream {
    shim.ask_later("/api/user/keytest/", key)
}

fn status(stream: TcpStream) -> u16 {
    Answer::read(stream).status()
}

/// Keys of this database wait for their checks, until `COMMIT`.
pub fn hold(database: &Database) -> Client {
    let mut client = database.superuser();
    client.batch_execute("BEGIN; LOCK TABLE apikey.key").unwrap();
    client
}

/// Requests that were sent before have most likely been read then. If not, they share fewer trips.
pub fn let_arrive(shim: &Shim) {
    for _ in 0..3 {
        assert_eq!(shim.get("/live", &[]).status(), 200);
        sleep(Duration::from_millis(50));
    }
}

/// A role for the shim, whose statements the server logs with their parameters.
fn logged_checker(database: &mut Database) -> Login {
    let login = database.checker();
    let sql = format!("ALTER ROLE {} SET log_statement = 'all'", login.role);
    database.superuser().batch_execute(&sql).unwrap();
    login
}

/// For each statement of the shim that asked about at least one of the keys, about how many of
/// them.
pub fn trips(database: &Database, keys: &[&str]) -> Vec<usize> {
    let log = database.cluster.log();
    let parameters = log.lines().filter(|line| line.contains("arameters: $1 = '{"));
    let counts = parameters.map(|line| keys.iter().map(|key| line.matches(key).count()).sum());
    counts.filter(|count| *count > 0).collect()
}

#[test]
fn one_at_a_time_each_has_a_trip_of_its_own() {
    let mut database = Database::new();
    let login = logged_checker(&mut database);
    let shim = Shim::start_as(&login, &database.conninfo(&login), &[]);
    let key = database.key("'event'");
    prove(&mut database.superuser(), &key);
    for _ in 0..5 {
        assert_eq!(shim.ask(&key).status(), 200);
    }
    assert_eq!(trips(&database, &[&key]), [1; 5]);
}

/// A request and what the answer has to be.
struct Case {
    lines: Vec<String>,
    status: u16,
    body: Option<String>,
}

/// Keys of two tenants, asked under both hosts, from right and wrong addresses, and wrong keys.
fn cases(database: &Database) -> (Vec<String>, Vec<Case>) {
    let mut cases = Vec::new();
    let mut keys = Vec::new();
    let mut add = |key: &str, host: &str, address: &str, auth: Option<(&str, bool)>| {
        let lines = [
            format!("Host: {host}.example.org"),
            format!("Authorization: Api-Key {key}"),
            format!("X-Forwarded-For: {address}"),
        ];
        let body = auth.map(|(auth, valid)| {
            format!(r#"{{"auth":"{auth}","ip_request":"{address}","ip_valid":{valid}}}"#)
        });
        let status = if body.is_some() { 200 } else { 401 };
        cases.push(Case { lines: lines.into(), status, body });
    };
    for number in 0..12 {
        let (tenant, stranger) = if number % 2 == 0 { ("a", "b") } else { ("b", "a") };
        let (auth, address) = (format!("level{number}"), format!("192.0.2.{number}"));
        let key = database.key(&format!("'{auth}', '{address}', tenant => '{tenant}'"));
        let wrong = format!("{}{}", &key[..9], "x".repeat(32));
        add(&key, tenant, &address, Some((&auth, true)));
        add(&key, stranger, &address, None);
        add(&wrong, tenant, &address, None);
        add(&key, tenant, "2001:db8::1", Some((&auth, false)));
        add("Zz9zzzzz.unknown", tenant, &address, None);
        keys.push(key);
    }
    (keys, cases)
}

const BY_HOST: [&str; 4] = ["--tenant-by-host", "*.example.org=*", "--trusted-proxy", "127.0.0.1"];

impl Case {
    #[track_caller]
    fn assert_answered_by(&self, answer: &Answer) {
        assert_eq!(answer.status(), self.status, "{:?}: {}", self.lines, answer.body);
        if let Some(body) = &self.body {
            assert_eq!(&answer.body, body, "{:?}", self.lines);
        }
    }
}

/// Sixty requests wait for the connections, and are asked in a few statements.
#[test]
fn each_in_a_shared_trip_gets_its_own_answer() {
    // Of three, one is for slow hashes.
    for (connections, in_use) in [("1", 1), ("3", 2)] {
        let mut database = Database::new();
        let (keys, cases) = cases(&database);
        keys.iter().for_each(|key| prove(&mut database.superuser(), key));
        let keys: Vec<_> = keys.iter().map(String::as_str).collect();
        let login = logged_checker(&mut database);
        let flags = [&BY_HOST[..], &PATIENT, &["--pool-size", connections]].concat();
        let shim = Shim::start_as(&login, &database.conninfo(&login), &flags);
        assert_eq!(shim.get("/ready", &[]).status(), 200);

        let mut holding = hold(&database);
        let asked: Vec<_> = cases.iter().map(|case| (case, send(&shim, &case.lines))).collect();
        database.wait_for_blocked(in_use);
        let_arrive(&shim);
        holding.batch_execute("COMMIT").unwrap();
        for (case, stream) in asked {
            case.assert_answered_by(&Answer::read(stream));
        }

        let trips = trips(&database, &keys);
        assert_eq!(trips.iter().sum::<usize>(), 3 * keys.len(), "each was asked once: {trips:?}");
        assert!(trips.iter().any(|size| *size > 1), "nobody shared: {trips:?}");
        // 60 by 16 are 4, and those that were alone at first.
        assert!(trips.len() < 20, "{trips:?}");
    }
}

/// As they come, over connections that are kept.
#[test]
fn a_crowd_gets_the_right_answers() {
    let mut database = Database::new();
    let (_, cases) = cases(&database);
    let login = logged_checker(&mut database);
    let shim = Shim::start_as(&login, &database.conninfo(&login), &BY_HOST);
    std::thread::scope(|scope| {
        for asker in 0..16 {
            let (shim, cases) = (&shim, &cases);
            scope.spawn(move || {
                for turn in 0..60 {
                    let case = &cases[(asker * 7 + turn) % cases.len()];
                    case.assert_answered_by(&Answer::read(send(shim, &case.lines)));
                }
            });
        }
    });
}

/// An error is of the key that causes it, though all keys of the statement get it first.
#[test]
fn a_check_that_fails_does_not_fail_the_others() {
    let mut database = Database::new();
    let failing = database.key("'event'");
    let good: Vec<_> = (0..8).map(|_| database.key("'event'")).collect();
    let all: Vec<_> = good.iter().chain([&failing]).map(String::as_str).collect();
    let mut client = database.superuser();
    all.iter().for_each(|key| prove(&mut client, key));
    client
        .batch_execute(&format!(
            "ALTER TABLE apikey.key DROP CONSTRAINT auth_shape;
             UPDATE apikey.key SET auth = '5' WHERE prefix = '{}'",
            &failing[..8]
        ))
        .unwrap();
    let login = logged_checker(&mut database);
    let flags = [&PATIENT[..], &["--pool-size", "1"]].concat();
    let shim = Shim::start_as(&login, &database.conninfo(&login), &flags);
    let mut holding = hold(&database);
    let first = send_key(&shim, &good[0]);
    database.wait_for_blocked(1);
    let before = send_key(&shim, &good[1]);
    let broken = send_key(&shim, &failing);
    let after: Vec<_> = good[2..].iter().map(|key| send_key(&shim, key)).collect();
    let_arrive(&shim);
    holding.batch_execute("COMMIT").unwrap();
    Answer::read(broken).assert_problem(503);
    for other in [first, before].into_iter().chain(after) {
        assert_eq!(status(other), 200, "{}", shim.log());
    }
    assert!(trips(&database, &all).iter().any(|size| *size > 1), "nobody shared");
}

#[test]
fn clients_that_leave_disturb_nobody() {
    let mut database = Database::new();
    let keys: Vec<_> = (0..20).map(|_| database.key("'event'")).collect();
    let shim = Shim::start(&mut database, &[&PATIENT[..], &["--pool-size", "1"]].concat());
    assert_eq!(shim.ask(&keys[0]).status(), 200);
    let backends = format!(
        "SELECT string_agg(pid::text, ',') FROM pg_stat_activity WHERE usename = '{}_checker'",
        database.name
    );
    let backend = one(&mut database.superuser(), &backends);
    let mut holding = hold(&database);
    // The first is on its way when it leaves, and the others wait.
    let mut asked = vec![send_key(&shim, &keys[0])];
    database.wait_for_blocked(1);
    asked.extend(keys[1..].iter().map(|key| send_key(&shim, key)));
    let_arrive(&shim);
    let mut staying = Vec::new();
    for (number, stream) in asked.into_iter().enumerate() {
        if number % 2 == 1 {
            staying.push(stream);
        }
    }
    let_arrive(&shim);
    holding.batch_execute("COMMIT").unwrap();
    for stream in staying {
        assert_eq!(status(stream), 200);
    }
    for key in &keys {
        assert_eq!(shim.ask(key).status(), 200);
    }
    assert_eq!(one(&mut database.superuser(), &backends), backend, "the connection is kept");
}

/// Requests that give up while they wait, and on their way.
#[test]
fn requests_that_run_out_of_time_disturb_nobody() {
    let mut database = Database::new();
    let key = database.key("'event'");
    let flags = ["--pool-size", "1", "--pool-wait", "200ms", "--request-timeout", "1s"];
    let shim = Shim::start(&mut database, &flags);
    assert_eq!(shim.ask(&key).status(), 200);
    let mut holding = hold(&database);
    let first = send_key(&shim, &key);
    database.wait_for_blocked(1);
    let others: Vec<_> = (0..40).map(|_| send_key(&shim, &key)).collect();
    for stream in others.into_iter().chain([first]) {
        Answer::read(stream).assert_problem(503);
    }
    let log = shim.log();
    assert!(log.contains("--pool-wait"), "{log}");
    assert!(log.contains("57014") || log.contains("--request-timeout"), "{log}");
    holding.batch_execute("COMMIT").unwrap();
    for _ in 0..5 {
        assert_eq!(shim.ask(&key).status(), 200, "{}", shim.log());
    }
}

/// With requests on their way and others that wait: all get a 503, and the next ones a 200.
#[test]
fn a_database_that_dies_under_shared_trips() {
    let mut database = Database::in_cluster(Cluster::private(&["max_prepared_transactions = 1"]));
    let keys: Vec<_> = (0..40).map(|_| database.key("'event'")).collect();
    let shim = Shim::start(&mut database, &[&PATIENT[..], &["--pool-size", "2"]].concat());
    assert_eq!(shim.ask(&keys[0]).status(), 200);
    let ask_all = || -> Vec<_> { keys.iter().map(|key| send_key(&shim, key)).collect() };
    for _ in 0..2 {
        // A lock that no session holds lets nobody through while the server stops.
        hold(&database).batch_execute("PREPARE TRANSACTION 'held'").unwrap();
        let asked = ask_all();
        database.wait_for_blocked(1);
        let_arrive(&shim);
        database.cluster.stop();
        for stream in asked {
            let answer = Answer::read(stream);
            answer.assert_problem(503);
            assert!(answer.header("retry-after").is_some(), "{}", answer.head);
        }
        database.cluster.start();
        database.superuser().batch_execute("COMMIT PREPARED 'held'").unwrap();
        for stream in ask_all() {
            assert_eq!(status(stream), 200, "{}", shim.log());
        }
    }
}
