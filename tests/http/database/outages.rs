//! The database away, slow, or unable: 503 and never 401, and 200 again without a restart.

use apikey_tests::{Answer, Cluster, Database, PUBLISHED_KEY, Shim};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

fn assert_unavailable(answer: &Answer) {
    answer.assert_problem(503);
    assert!(answer.header("retry-after").is_some_and(|after| after.parse::<u32>().is_ok()));
}

#[track_caller]
fn wait_for(what: &str, mut happened: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !happened() {
        assert!(Instant::now() < deadline, "{what}");
        sleep(Duration::from_millis(50));
    }
}

/// Tells the askers to stop, also when an assertion fails.
struct Finish<'a>(&'a AtomicBool);

impl Drop for Finish<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Stopped and started again under requests that never cease.
#[test]
fn postgres_stopped_and_started() {
    let mut database = Database::in_cluster(Cluster::private(&[]));
    let key = database.key("'event'");
    let shim = Shim::start(&mut database, &["--request-timeout", "2s"]);
    let done = AtomicBool::new(false);
    let ask_on = || {
        let mut seen = Vec::new();
        while !done.load(Ordering::Relaxed) {
            seen.push(shim.ask(&key).status());
            sleep(Duration::from_millis(5));
        }
        seen
    };
    let seen: Vec<u16> = std::thread::scope(|scope| {
        let finish = Finish(&done);
        let askers: Vec<_> = (0..4).map(|_| scope.spawn(ask_on)).collect();
        assert_eq!(shim.ask(&key).status(), 200);
        for _ in 0..2 {
            database.cluster.stop();
            wait_for("a 503 while Postgres is away", || shim.ask(&key).status() == 503);
            assert_unavailable(&shim.ask(PUBLISHED_KEY));
            assert_unavailable(&shim.get("/ready", &[]));
            assert_eq!(shim.get("/live", &[]).status(), 200);
            database.cluster.start();
            wait_for("a 200 when Postgres is back", || shim.ask(&key).status() == 200);
        }
        drop(finish);
        askers.into_iter().flat_map(|asker| asker.join().unwrap()).collect()
    });
    assert!(seen.contains(&200) && seen.contains(&503));
    assert!(seen.iter().all(|status| [200, 503].contains(status)), "{seen:?}");
    assert!(!shim.log().contains(&key[9..]));
}

#[test]
fn a_shim_that_is_started_first_waits_for_its_database() {
    let mut database = Database::in_cluster(Cluster::private(&[]));
    let key = database.key("'event'");
    let checker = database.checker();
    let conninfo = database.conninfo(&checker);
    database.cluster.stop();
    let shim = Shim::start_as(&checker, &conninfo, &["--request-timeout", "2s"]);
    assert_unavailable(&shim.ask(&key));
    database.cluster.start();
    wait_for("a 200 when Postgres is there", || shim.ask(&key).status() == 200);
}

/// Somebody holds the table: questions wait, and are given up in time.
#[test]
fn a_table_that_is_locked() {
    let mut database = Database::new();
    let key = database.key("'event'");
    let flags = ["--pool-size", "2", "--pool-wait", "300ms", "--request-timeout", "1s"];
    let shim = Shim::start(&mut database, &flags);
    assert_eq!(shim.ask(&key).status(), 200);
    let mut locking = database.superuser();
    locking.batch_execute("BEGIN; LOCK TABLE apikey.key").unwrap();
    std::thread::scope(|scope| {
        // The pool's two connections are asked about 16 each, at most, and the others wait for one
        // in vain.
        let asking: Vec<_> = (0..40).map(|_| scope.spawn(|| shim.ask(&key))).collect();
        for asked in asking {
            assert_unavailable(&asked.join().unwrap());
        }
    });
    let log = shim.log();
    assert!(log.contains("--pool-wait"), "{log}");
    assert!(log.contains("57014") || log.contains("--request-timeout"), "{log}");
    locking.batch_execute("COMMIT").unwrap();
    for _ in 0..5 {
        assert_eq!(shim.ask(&key).status(), 200, "{}", shim.log());
    }
}

#[test]
fn an_extension_that_is_gone() {
    let mut database = Database::new();
    let shim = Shim::start(&mut database, &[]);
    let key = database.key("'event'");
    assert_eq!(shim.ask(&key).status(), 200);
    let mut client = database.superuser();
    client.batch_execute("DROP EXTENSION apikey").unwrap();
    assert_unavailable(&shim.ask(&key));
    assert!(shim.log().contains("CREATE EXTENSION apikey"), "{}", shim.log());
    let role = format!("{}_checker", database.name);
    client
        .batch_execute(&format!(
            "CREATE EXTENSION apikey; GRANT EXECUTE ON FUNCTION apikey_check(text, inet) TO {role}"
        ))
        .unwrap();
    let key = database.key("'event'");
    assert_eq!(shim.ask(&key).status(), 200, "{}", shim.log());
}

#[test]
fn a_password_that_is_wrong() {
    let mut database = Database::new();
    let mut checker = database.checker();
    checker.password = "a wrong password".to_owned();
    let conninfo = database.conninfo(&checker);
    let shim = Shim::start_as(&checker, &conninfo, &[]);
    assert_unavailable(&shim.ask(PUBLISHED_KEY));
    assert!(shim.log().contains("28P01"), "{}", shim.log());
    assert!(!shim.log().contains("a wrong password"));
}
