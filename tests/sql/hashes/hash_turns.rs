//! No more slow hashes run at once than `apikey.max_concurrent_hashes` allows: the others wait, and
//! can be stopped.

use apikey_tests::{
    Cluster, Database, eventually, from_test_script, one, program, refused, run, stat, wrong_secret,
};
use postgres::{Client, Row};
use std::process::Stdio;
use std::thread::JoinHandle;

/// In a cluster of the test's own, where one may hash at a time.
fn one_at_a_time() -> Database {
    Database::in_cluster(Cluster::preloaded(&["apikey.max_concurrent_hashes = 1"]))
}

/// A key that is refused after a hash so slow that it can be caught at it.
fn costly_key(database: &Database) -> String {
    let key = database.key("'event'");
    let update = "UPDATE apikey.key SET verifier = replace(verifier, 'm=1024,t=1', 'm=65536,t=16') WHERE prefix = $1";
    assert_eq!(database.superuser().execute(update, &[&&key[..8]]).unwrap(), 1);
    key
}

fn signal(pid: i32, name: &str) {
    run(&mut program("kill", &["-s", name, &pid.to_string()])).success();
}

/// A statement that runs on a connection of its own.
struct Running {
    pid: i32,
    answer: JoinHandle<Result<Row, postgres::Error>>,
}

impl Running {
    fn begin(database: &Database, statement: &str, parameter: &str) -> Self {
        let mut client = database.superuser();
        let pid = client.query_one("SELECT pg_backend_pid()", &[]).unwrap().get(0);
        let (statement, parameter) = (statement.to_owned(), parameter.to_owned());
        let answer = std::thread::spawn(move || client.query_one(&statement, &[&parameter]));
        Self { pid, answer }
    }

    fn check(database: &Database, key: &str) -> Self {
        Self::begin(database, "SELECT apikey_check($1, NULL)::text", key)
    }

    fn finish(self) -> Result<Option<String>, postgres::Error> {
        self.answer.join().unwrap().map(|row| row.get(0))
    }
}

/// A backend that stands still in the middle of a hash: the one turn is taken for as long as the
/// test wants.
struct Holder(i32);

impl Holder {
    /// `begin` starts the check of a costly key, and gives the backend that does it.
    fn catch(database: &Database, begin: impl FnOnce(&mut Client) -> i32) -> Self {
        let mut client = database.superuser();
        let before = stat(&mut client, "hashes");
        let holder = Self(begin(&mut client));
        eventually("it hashes", || stat(&mut client, "hashes") > before);
        signal(holder.0, "STOP");
        holder
    }

    fn go_on(self) {}
}

impl Drop for Holder {
    fn drop(&mut self) {
        signal(self.0, "CONT");
    }
}

fn hold(database: &Database) -> (Holder, Running) {
    let key = costly_key(database);
    let mut running = None;
    let holder = Holder::catch(database, |_| running.insert(Running::check(database, &key)).pid);
    (holder, running.unwrap())
}

/// Until just these wait for their turn, as `pg_stat_activity` tells it. (Before 17, background
/// workers wait for something of that name, too.)
fn until_waiting(client: &mut Client, waiting: &[&Running]) {
    let sql = "SELECT coalesce(array_agg(pid), '{}') FROM pg_stat_activity
                WHERE backend_type = 'client backend' AND wait_event_type = 'Extension' AND wait_event = CASE
                      WHEN current_setting('server_version_num')::int < 170000 THEN 'Extension' ELSE 'ApikeyHash' END";
    let mut expected: Vec<i32> = waiting.iter().map(|running| running.pid).collect();
    expected.sort_unstable();
    eventually("just these wait", || {
        let mut found: Vec<i32> = client.query_one(sql, &[]).unwrap().get(0);
        found.sort_unstable();
        found == expected
    });
}

#[test]
fn who_waits_can_be_cancelled_or_terminated_and_the_others_go_on() {
    let database = one_at_a_time();
    let mut client = database.superuser();
    let (key, known) = (database.key("'event'"), database.key("'event'"));
    assert!(Running::check(&database, &known).finish().unwrap().is_some());
    let (holder, holding) = hold(&database);
    let [cancelled, terminated, patient] = [(); 3].map(|()| Running::check(&database, &key));
    let creating = Running::begin(&database, "SELECT apikey_create('another', $1::text)", "event");
    until_waiting(&mut client, &[&cancelled, &terminated, &patient, &creating]);
    assert_eq!(stat(&mut client, "hash_waits"), 4);
    // Who needs no hash has nothing to wait for: a key that is known, and a wrong secret.
    assert!(Running::check(&database, &known).finish().unwrap().is_some());
    let wrong = wrong_secret(&key);
    assert_eq!(Running::check(&database, &wrong).finish().unwrap(), None);

    client.execute("SELECT pg_cancel_backend($1)", &[&cancelled.pid]).unwrap();
    assert_eq!(refused(cancelled.finish()).sqlstate(), "57014");
    client.execute("SELECT pg_terminate_backend($1)", &[&terminated.pid]).unwrap();
    // Its client may see no more of that than the end of the connection.
    assert!(terminated.finish().is_err());
    assert!(database.cluster.log().contains("FATAL:  terminating connection due to administrator"));
    until_waiting(&mut client, &[&patient, &creating]);
    holder.go_on();
    assert!(patient.finish().unwrap().is_some());
    assert!(creating.finish().unwrap().is_some());
    assert_eq!(holding.finish().unwrap(), None);
}

#[test]
fn a_turn_comes_back_whatever_becomes_of_its_holder() {
    let database = one_at_a_time();
    let mut client = database.superuser();
    for end in ["pg_cancel_backend", "pg_terminate_backend"] {
        let key = database.key("'event'");
        let (holder, holding) = hold(&database);
        let waiting = Running::check(&database, &key);
        until_waiting(&mut client, &[&waiting]);
        client.execute(&format!("SELECT {end}($1)"), &[&holding.pid]).unwrap();
        holder.go_on();
        assert!(waiting.finish().unwrap().is_some(), "{end}");
        // It may have had its answer before it was told to end.
        let _ = holding.finish();
    }

    // A client that goes away in the middle.
    let (costly, key) = (costly_key(&database), database.key("'event'"));
    let superuser = database.cluster.superuser();
    let bin = run(&mut program(&from_test_script("PG_CONFIG"), &["--bindir"]));
    let mut psql = program(&format!("{}/psql", bin.success()), &["-X", "-c"]);
    psql.arg(format!("SELECT apikey_check('{costly}', NULL)"))
        .env("PGHOST", "127.0.0.1")
        .env("PGPORT", database.port().to_string())
        .env("PGDATABASE", &database.name)
        .env("PGUSER", superuser.role)
        .env("PGPASSWORD", superuser.password)
        .env("PGAPPNAME", "leaving")
        .stdout(Stdio::null());
    let mut running = None;
    let leaving = "SELECT pid FROM pg_stat_activity WHERE application_name = 'leaving'";
    let holder = Holder::catch(&database, |client| {
        running = Some(psql.spawn().unwrap());
        let mut pid = None;
        eventually("psql has connected", || {
            pid = client.query_opt(leaving, &[]).unwrap().map(|row| row.get(0));
            pid.is_some()
        });
        pid.unwrap()
    });
    let mut psql = running.unwrap();
    let waiting = Running::check(&database, &key);
    until_waiting(&mut client, &[&waiting]);
    psql.kill().unwrap();
    psql.wait().unwrap();
    holder.go_on();
    assert!(waiting.finish().unwrap().is_some());
}

/// The turn was offered to one who waited, and who is told to end before it can take it.
#[test]
fn a_turn_that_is_not_taken_goes_to_the_next() {
    let database = one_at_a_time();
    let mut client = database.superuser();
    for end in ["pg_cancel_backend", "pg_terminate_backend"] {
        let key = database.key("'event'");
        let (holder, holding) = hold(&database);
        let first = Running::check(&database, &key);
        until_waiting(&mut client, &[&first]);
        let next = Running::check(&database, &key);
        until_waiting(&mut client, &[&first, &next]);
        signal(first.pid, "STOP");
        let first_stands_still = Holder(first.pid);
        holder.go_on();
        assert_eq!(holding.finish().unwrap(), None);
        client.execute(&format!("SELECT {end}($1)"), &[&first.pid]).unwrap();
        first_stands_still.go_on();
        // Either way its own is done, with an answer or without.
        let _ = first.finish();
        eventually(&format!("the turn is taken after {end}"), || next.answer.is_finished());
        assert!(next.finish().unwrap().is_some());
    }
}

/// However many came before with wrong secrets for one key, another key waits for one of them.
#[test]
fn a_prefix_waits_for_its_own_kind() {
    let database = one_at_a_time();
    let mut client = database.superuser();
    let (attacked, good) = (costly_key(&database), database.key("'event'"));
    let (holder, holding) = hold(&database);
    let attackers: Vec<_> = (0..6).map(|_| Running::check(&database, &attacked)).collect();
    until_waiting(&mut client, &attackers.iter().collect::<Vec<_>>());
    // Counted after the check.
    let statement = "WITH checked AS MATERIALIZED (SELECT apikey_check($1, NULL) ->> 'auth' AS auth)
        SELECT (SELECT c.auth || ' after ' || value FROM apikey_stats WHERE name = 'wrong_secret') FROM checked AS c";
    let patient = Running::begin(&database, statement, &good);
    let all: Vec<_> = attackers.iter().chain([&patient]).collect();
    until_waiting(&mut client, &all);
    holder.go_on();
    let answer = patient.finish().unwrap().unwrap();
    // The one that held the turn, who may not have counted yet, and one of the six at most.
    assert!(["event after 0", "event after 1", "event after 2"].contains(&&*answer), "{answer}");
    for attacker in attackers {
        assert_eq!(attacker.finish().unwrap(), None);
    }
    assert_eq!(holding.finish().unwrap(), None);
}

#[test]
fn many_that_come_at_once_hash_one_new_key_once() {
    let database = one_at_a_time();
    let mut client = database.superuser();
    let key = database.key("'event'");
    let (holder, holding) = hold(&database);
    let before = stat(&mut client, "hashes");
    let many: Vec<_> = (0..20).map(|_| Running::check(&database, &key)).collect();
    until_waiting(&mut client, &many.iter().collect::<Vec<_>>());
    holder.go_on();
    for one_of_many in many {
        assert!(one_of_many.finish().unwrap().is_some());
    }
    assert_eq!(stat(&mut client, "hashes") - before, 1);
    assert_eq!(holding.finish().unwrap(), None);
}

#[test]
fn the_limit_can_be_raised_and_lowered_without_a_restart() {
    let database = one_at_a_time();
    let mut client = database.superuser();
    let keys = [(); 3].map(|()| database.key("'event'"));
    let set = |limit: &str| {
        let mut client = database.superuser();
        let alter = format!("ALTER SYSTEM SET apikey.max_concurrent_hashes = {limit}");
        client.batch_execute(&alter).unwrap();
        client.batch_execute("SELECT pg_reload_conf()").unwrap();
        eventually("the setting holds", || {
            let shown = one(&mut database.superuser(), "SHOW apikey.max_concurrent_hashes");
            shown.as_deref() == Some(limit)
        });
    };
    let (holder, holding) = hold(&database);
    let early = Running::check(&database, &keys[0]);
    until_waiting(&mut client, &[&early]);
    set("2");
    // It tells who waits already of the new limit, too.
    assert!(Running::check(&database, &keys[1]).finish().unwrap().is_some());
    assert!(early.finish().unwrap().is_some());
    set("1");
    let late = Running::check(&database, &keys[2]);
    until_waiting(&mut client, &[&late]);
    holder.go_on();
    assert!(late.finish().unwrap().is_some());
    assert_eq!(holding.finish().unwrap(), None);
}
