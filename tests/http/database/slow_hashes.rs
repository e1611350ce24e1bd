//! Questions that take a slow hash hold nothing that others need, and one prefix has its share and
//! no more.

use apikey_tests::{
    Answer, Cluster, Database, Samples, Shim, eventually, one, signal, stat, wrong_secret,
};
use std::thread::JoinHandle;

/// Nothing ends before the test says so. Of eight connections, two are for slow hashes.
const FLAGS: [&str; 8] = [
    "--pool-wait",
    "30s",
    "--request-timeout",
    "30s",
    "--pool-size",
    "8",
    "--metrics-listen",
    "127.0.0.1:0",
];

fn one_at_a_time() -> Database {
    Database::in_cluster(Cluster::preloaded(&["apikey.max_concurrent_hashes = 1"]))
}

/// As keys from Django are: only a slow hash tells a wrong secret.
fn key_without_tag(database: &Database) -> String {
    let key = database.key("'event'");
    let untag = "UPDATE apikey.key SET tag = NULL WHERE prefix = $1";
    assert_eq!(database.superuser().execute(untag, &[&&key[..8]]).unwrap(), 1);
    key
}

/// A backend that stands still in the middle of a hash, and has the one turn.
struct Holder {
    pid: u32,
    checking: Option<JoinHandle<()>>,
}

impl Holder {
    fn new(database: &Database) -> Self {
        let key = database.key("'event'");
        let mut client = database.superuser();
        let costly = "UPDATE apikey.key SET verifier = replace(verifier, 'm=1024,t=1', 'm=65536,t=16') WHERE prefix = $1";
        client.execute(costly, &[&&key[..8]]).unwrap();
        let before = stat(&mut client, "hashes");
        let mut checking = database.superuser();
        let pid = one(&mut checking, "SELECT pg_backend_pid()").unwrap().parse().unwrap();
        let checking = std::thread::spawn(move || {
            one(&mut checking, &format!("SELECT apikey_check('{key}', NULL)"));
        });
        eventually("it hashes", || stat(&mut client, "hashes") > before);
        signal("STOP", &[pid]);
        assert!(!checking.is_finished(), "it was too fast for the test");
        Self { pid, checking: Some(checking) }
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        signal("CONT", &[self.pid]);
        let _ = self.checking.take().map(JoinHandle::join);
    }
}

fn ask(shim: &Shim, path: &str, key: &str) -> Answer {
    Answer::read(shim.ask_later(path, key))
}

fn until_slow(shim: &Shim, in_use: f64, waiting: f64) {
    eventually("so many have a place and so many wait", || {
        let samples = Samples::of(shim);
        samples.value("apikey_slow_hash_places{state=in_use}") == in_use
            && samples.value("apikey_slow_hash_places{state=waiting}") == waiting
    });
}

#[test]
fn they_hold_up_nobody_and_a_prefix_has_its_share() {
    let mut database = one_at_a_time();
    let [known, attacked, new, newer] = [(); 4].map(|()| key_without_tag(&database));
    let tagged = database.key("'event'");
    let shim = Shim::start_for_auth(&mut database, &FLAGS);
    assert_eq!(shim.ask(&known).status(), 200);
    let holder = Holder::new(&database);

    // All that are let in for the one prefix. One of them has a place.
    let wrong: Vec<_> = (0..4).map(|number| format!("{}{number:032}", &attacked[..9])).collect();
    let keytest = "/api/user/keytest/";
    let mut waiting = vec![shim.ask_later("/auth", &wrong[0])];
    until_slow(&shim, 1.0, 0.0);
    waiting.extend(wrong[1..].iter().map(|key| shim.ask_later(keytest, key)));
    until_slow(&shim, 1.0, 3.0);
    for path in [keytest, "/auth"] {
        for key in [&attacked, &wrong_secret(&attacked)] {
            let answer = ask(&shim, path, key);
            answer.assert_problem(503);
            assert!(answer.header("retry-after").is_some());
        }
    }
    // Another prefix has the other place, and the next one waits for a place; any number with the
    // same key share it.
    let mut good: Vec<_> = (0..20).map(|_| shim.ask_later(keytest, &new)).collect();
    until_slow(&shim, 2.0, 3.0);
    good.push(shim.ask_later("/auth", &newer));
    until_slow(&shim, 2.0, 4.0);

    // Whoever needs no hash waits for nobody.
    for path in [keytest, "/auth", "/ready"] {
        assert_eq!(ask(&shim, path, &known).status(), 200, "{path}");
    }
    assert_eq!(ask(&shim, keytest, &wrong_secret(&tagged)).status(), 401);
    let samples = Samples::of(&shim);
    assert_eq!(samples.value("apikey_database_errors_total{kind=hash}"), 4.0);
    let said = format!("too many secrets of the key {}", &attacked[..8]);
    let log = shim.log();
    assert!(log.contains(&said) && !log.contains(&attacked[9..]), "{log}");

    drop(holder);
    for stream in waiting {
        assert_eq!(Answer::read(stream).status(), 401);
    }
    for stream in good {
        assert_eq!(Answer::read(stream).status(), 200);
    }
    assert_eq!(shim.ask(&attacked).status(), 200, "it has its turn again");
    until_slow(&shim, 0.0, 0.0);
}

/// Who leaves while a hash is made for him costs no connection, and what was found out stays.
#[test]
fn a_client_that_leaves_costs_nothing() {
    let mut database = one_at_a_time();
    let key = key_without_tag(&database);
    let shim = Shim::start(&mut database, &FLAGS);
    assert_eq!(shim.get("/ready", &[]).status(), 200);
    let holder = Holder::new(&database);
    drop(shim.ask_later("/api/user/keytest/", &key));
    until_slow(&shim, 1.0, 0.0);
    drop(holder);
    until_slow(&shim, 0.0, 0.0);
    let mut client = database.superuser();
    let hashes = stat(&mut client, "hashes");
    assert_eq!(shim.ask(&key).status(), 200);
    assert_eq!(stat(&mut client, "hashes"), hashes);
}
