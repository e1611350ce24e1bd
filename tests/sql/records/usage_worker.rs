//! The processes that store the use of keys, through stops, crashes, standbys and want of room.

use super::usage::{check, stored, used, wait_for_stored};
use apikey_tests::{Cluster, Database, eventually, one, program, run, stat};
use postgres::{Client, NoTls};

const EVERY_SECOND: &str = "apikey.usage_flush_interval = '1s'";
const EVERY_HOUR: &str = "apikey.usage_flush_interval = '1h'";

const LAUNCHER: &str =
    "SELECT max(pid) FROM pg_stat_activity WHERE backend_type = 'apikey usage launcher'";
const WORKER: &str =
    "SELECT max(pid) FROM pg_stat_activity WHERE application_name = 'apikey usage flush'";

fn private(settings: &[&str]) -> Database {
    Database::in_cluster(Cluster::preloaded(settings))
}

pub fn reload_with(client: &mut Client, setting: &str) {
    client.batch_execute(&format!("ALTER SYSTEM SET {setting}")).unwrap();
    one(client, "SELECT pg_reload_conf()");
}

fn connect(database: &Database, name: &str) -> Result<Client, postgres::Error> {
    let superuser = database.cluster.superuser();
    let (login, password) = (database.conninfo(&superuser), superuser.password);
    Client::connect(&format!("{login} password={password} dbname={name}"), NoTls)
}

#[test]
fn a_restart_loses_nothing_and_new_settings_hold_at_once() {
    let database = private(&[EVERY_HOUR]);
    let mut client = database.superuser();
    let keys = ["'10.0.0.1'", "NULL"].map(|ip| {
        let key = database.key("'event'");
        check(&mut client, &key, ip);
        key
    });
    for round in 2..4 {
        drop(client);
        database.cluster.stop();
        database.cluster.start();
        client = database.superuser();
        check(&mut client, &keys[0], "'10.0.0.1'");
        assert_eq!(used(&mut client, &keys[0]), format!("{round} 0 10.0.0.1"));
        assert_eq!(used(&mut client, &keys[1]), "1 0 -");
    }
    assert_eq!(stored(&mut client, &keys[0]).unwrap_or_default(), "");
    reload_with(&mut client, EVERY_SECOND);
    wait_for_stored(&mut client, &keys[0], "3 0 10.0.0.1");
    wait_for_stored(&mut client, &keys[1], "1 0 -");
    let log = database.cluster.log();
    assert!(!log.contains("WARNING") && !log.contains("FATAL"), "{log}");
}

#[test]
fn a_crash_loses_what_was_not_stored_and_nothing_else() {
    let database = private(&[EVERY_SECOND]);
    let mut client = database.superuser();
    let key = database.key("'event'");
    for _ in 0..3 {
        check(&mut client, &key, "NULL");
    }
    wait_for_stored(&mut client, &key, "3 0 -");
    // A worker that waits can be killed.
    let mut holder = database.superuser();
    holder.batch_execute("BEGIN; LOCK apikey.usage IN SHARE MODE").unwrap();
    check(&mut client, &key, "NULL");
    let mut worker = None;
    eventually("a worker waits", || {
        worker = one(&mut client, WORKER);
        worker.is_some()
    });
    run(&mut program("kill", &["-KILL", &worker.unwrap()])).success();
    database.wait_for_recovery();
    let mut client = database.superuser();
    let at_least_three = used(&mut client, &key);
    assert!(["3 0 -", "4 0 -"].contains(&at_least_three.as_str()), "{at_least_three}");
    assert!(check(&mut client, &key, "NULL").is_some());
    let expected = if at_least_three == "3 0 -" { "4 0 -" } else { "5 0 -" };
    assert_eq!(used(&mut client, &key), expected);
    wait_for_stored(&mut client, &key, expected);
}

#[test]
fn an_immediate_stop_keeps_the_keys_and_what_was_stored() {
    let database = private(&[EVERY_SECOND]);
    let mut client = database.superuser();
    let key = database.key("'event'");
    check(&mut client, &key, "NULL");
    wait_for_stored(&mut client, &key, "1 0 -");
    // What is stored is on disk, too.
    client.batch_execute("CHECKPOINT").unwrap();
    database.cluster.crash();
    database.cluster.start();
    let mut client = database.superuser();
    assert_eq!(used(&mut client, &key), "1 0 -");
    assert!(check(&mut client, &key, "NULL").is_some());
    wait_for_stored(&mut client, &key, "2 0 -");
}

#[test]
fn a_launcher_that_is_ended_comes_back() {
    let database = private(&[EVERY_SECOND]);
    let mut client = database.superuser();
    let launcher = one(&mut client, LAUNCHER).unwrap();
    one(&mut client, &format!("SELECT pg_terminate_backend({launcher})"));
    let key = database.key("'event'");
    check(&mut client, &key, "NULL");
    wait_for_stored(&mut client, &key, "1 0 -");
    assert_ne!(one(&mut client, LAUNCHER).unwrap(), launcher);
}

#[test]
fn a_standby_counts_and_writes_when_it_is_promoted() {
    let database = private(&[EVERY_SECOND]);
    let mut primary = database.superuser();
    let key = database.key("'event'");
    check(&mut primary, &key, "'10.0.0.1'");
    wait_for_stored(&mut primary, &key, "1 0 10.0.0.1");
    // What the copy takes along of the settings.
    for setting in ["shared_preload_libraries = 'apikey'", EVERY_SECOND] {
        primary.batch_execute(&format!("ALTER SYSTEM SET {setting}")).unwrap();
    }
    let cluster = database.cluster.standby();
    let mut standby = database.on_standby(&cluster);
    assert_eq!(one(&mut standby, LAUNCHER), None);
    // Nobody could store a hash that is renewed here, and so none is made.
    standby.batch_execute("SET apikey.argon2_iterations = 2").unwrap();
    let hashes = stat(&mut standby, "hashes");
    for _ in 0..2 {
        check(&mut standby, &key, "'10.0.0.2'");
    }
    assert_eq!(used(&mut standby, &key), "3 0 10.0.0.2");
    assert_eq!(stat(&mut standby, "hashes") - hashes, 1, "one that it is right");
    assert_eq!(used(&mut primary, &key), "1 0 10.0.0.1");
    assert_eq!(stored(&mut standby, &key).as_deref(), Some("1 0 10.0.0.1"));
    // What the first server counts meanwhile is added.
    check(&mut primary, &key, "'10.0.0.3'");
    wait_for_stored(&mut primary, &key, "2 0 10.0.0.3");
    eventually("the standby follows", || used(&mut standby, &key) == "4 0 10.0.0.3");
    drop(standby);
    cluster.stop();
    cluster.start();
    let mut standby = database.on_standby(&cluster);
    assert_eq!(used(&mut standby, &key), "4 0 10.0.0.3", "after a restart");

    drop(primary);
    assert_eq!(one(&mut standby, "SELECT pg_promote()").as_deref(), Some("t"));
    wait_for_stored(&mut standby, &key, "4 0 10.0.0.3");
    check(&mut standby, &key, "'10.0.0.4'");
    wait_for_stored(&mut standby, &key, "5 0 10.0.0.4");
    standby.batch_execute("SET apikey.argon2_iterations = 2").unwrap();
    check(&mut standby, &key, "NULL");
    let cost = "SELECT split_part(verifier, '$', 4) FROM apikey.key";
    eventually("the hash is renewed", || {
        one(&mut standby, cost).as_deref() == Some("m=1024,t=2,p=1")
    });
}

/// Memory for 128 keys, of which each has a choice of eight places.
#[test]
fn where_memory_is_short_batches_come_early() {
    let database = private(&[EVERY_HOUR, "apikey.usage_cache_size = 16kB"]);
    let mut client = database.superuser();
    let keys: Vec<_> = (0..300)
        .map(|number| {
            let create = format!("SELECT apikey_create('key {number}', 'event')");
            one(&mut client, &create).unwrap()
        })
        .collect();
    let unused = "SELECT string_agg(prefix, ' ') FROM apikeys WHERE accepted = 0";
    eventually("each key has a use that was counted", || {
        let Some(unused) = one(&mut client, unused) else { return true };
        for key in keys.iter().filter(|key| unused.contains(&key[..8])) {
            assert!(check(&mut client, key, "NULL").is_some());
        }
        false
    });
    let slots = "SELECT count(*) <= 128 FROM apikey.usage_in_memory()";
    assert_eq!(one(&mut client, slots).as_deref(), Some("t"));
}

#[test]
fn without_a_free_worker_it_says_so_and_goes_on_counting() {
    let few = ["max_worker_processes = 1", "max_logical_replication_workers = 0"];
    let database = private(&[&few[..], &[EVERY_SECOND]].concat());
    let mut client = database.superuser();
    let key = database.key("'event'");
    check(&mut client, &key, "NULL");
    let said = "LOG:  apikey has no background worker to store the usage of API keys with";
    eventually("the log says so", || database.cluster.log().contains(said));
    assert!(database.cluster.log().contains("HINT:  Increase max_worker_processes."));
    check(&mut client, &key, "NULL");
    assert_eq!(used(&mut client, &key), "2 0 -");
    client.batch_execute("ALTER SYSTEM SET max_worker_processes = 4").unwrap();
    drop(client);
    database.cluster.stop();
    assert_eq!(database.cluster.log().matches(said).count(), 1);
    database.cluster.start();
    wait_for_stored(&mut database.superuser(), &key, "2 0 -");
}

#[test]
fn a_database_that_nobody_may_enter_keeps_its_counts_until_it_is_opened() {
    let database = private(&[EVERY_SECOND]);
    let mut client = database.superuser();
    client.batch_execute("CREATE DATABASE hall").unwrap();
    let mut hall = connect(&database, "hall").unwrap();
    let name = &database.name;
    let allow = |allowed: bool| format!("ALTER DATABASE {name} ALLOW_CONNECTIONS {allowed}");
    let [key, next] = [(); 2].map(|()| database.key("'event'"));
    hall.batch_execute(&allow(false)).unwrap();
    check(&mut client, &key, "NULL");
    // Two rounds later, another database's uses are stored.
    hall.batch_execute("CREATE EXTENSION apikey; SET apikey.argon2_memory = '1MB'").unwrap();
    let elsewhere = one(&mut hall, "SELECT apikey_create('a', 'event')").unwrap();
    for uses in 1..3 {
        check(&mut hall, &elsewhere, "NULL");
        wait_for_stored(&mut hall, &elsewhere, &format!("{uses} 0 -"));
    }
    assert_eq!(stored(&mut client, &key).unwrap_or_default(), "");
    hall.batch_execute(&allow(true)).unwrap();
    check(&mut client, &next, "NULL");
    for key in [&key, &next] {
        wait_for_stored(&mut client, key, "1 0 -");
    }
    assert!(!database.cluster.log().contains("FATAL"));
}

#[test]
fn without_preloading_the_view_shows_what_is_stored() {
    let database = private(&[EVERY_SECOND]);
    let mut client = database.superuser();
    let key = database.key("'event'");
    check(&mut client, &key, "NULL");
    wait_for_stored(&mut client, &key, "1 0 -");
    client.batch_execute("ALTER SYSTEM SET shared_preload_libraries = 'plpgsql'").unwrap();
    drop(client);
    database.cluster.stop();
    database.cluster.start();
    let mut client = database.superuser();
    assert_eq!(one(&mut client, "SHOW shared_preload_libraries").as_deref(), Some("plpgsql"));
    assert!(check(&mut client, &key, "NULL").is_some());
    assert_eq!(used(&mut client, &key), "1 0 -");
    let counted = "SELECT count(*) FROM apikey.usage_in_memory()";
    assert_eq!(one(&mut client, counted).as_deref(), Some("0"));
}
