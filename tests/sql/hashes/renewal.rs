//! A hash of another kind or cost than is set is replaced after a good check, and no check writes
//! it.

use crate::records::usage::wait_for_stored;
use crate::records::usage_worker::reload_with;
use apikey_tests::{Cluster, Database, eventually, is_valid, one, stat, wrong_secret};
use postgres::Client;

const SET_COST: &str = "m=1024,t=1,p=1";
const TWICE: &str = "m=2048,t=1,p=1";
const EVERY_SECOND: &str = "apikey.usage_flush_interval = '1s'";
const EVERY_HOUR: &str = "apikey.usage_flush_interval = '1h'";

/// A key that was hashed at twice the cost that is set.
fn costly_key(database: &Database) -> String {
    costly_keys(database, 1).remove(0)
}

fn costly_keys(database: &Database, count: i32) -> Vec<String> {
    let mut client = database.superuser();
    client.batch_execute("SET apikey.argon2_memory = '2MB'").unwrap();
    let create =
        "SELECT apikey_create('till ' || gen_random_uuid(), 'event') FROM generate_series(1, $1)";
    let keys: Vec<String> =
        client.query(create, &[&count]).unwrap().iter().map(|row| row.get(0)).collect();
    assert!(keys.iter().all(|key| cost(&mut client, key) == TWICE));
    keys
}

fn cost(client: &mut Client, key: &str) -> String {
    let cost = "SELECT split_part(verifier, '$', 4) FROM apikey.key WHERE prefix = $1";
    client.query_one(cost, &[&&key[..8]]).unwrap().get(0)
}

/// Where others hash, too, a hash may be made another time.
fn wait_for_renewed(client: &mut Client, key: &str) {
    eventually("the hash is renewed", || is_valid(client, key) && cost(client, key) == SET_COST);
}

/// In a cluster of the test's own: nobody else moves its counters, or takes its turns.
fn alone(setting: &str) -> Database {
    Database::in_cluster(Cluster::preloaded(&[setting]))
}

/// Until a worker has begun after this, and has ended: it stores uses first, and one runs at a
/// time.
fn wait_for_a_worker(client: &mut Client, key: &str) {
    for _ in 0..2 {
        is_valid(client, key);
        let used = format!(
            "SELECT accepted || ' ' || refused || ' -' FROM apikeys WHERE prefix = '{}'",
            &key[..8]
        );
        let used = one(client, &used).unwrap();
        wait_for_stored(client, key, &used);
    }
}

#[test]
fn a_good_check_renews_and_the_key_goes_on() {
    let database = Database::new();
    let mut client = database.superuser();
    let key = costly_key(&database);
    let wrong = wrong_secret(&key);
    assert!(!is_valid(&mut client, &wrong));
    wait_for_renewed(&mut client, &key);
    assert!(is_valid(&mut client, &key) && !is_valid(&mut client, &wrong));
    let trail = "SELECT string_agg(action || ' ' || (changed -> 'verifier')::text || ' ' || application_name, ', ' ORDER BY at)
                   FROM apikey_events WHERE action = 'change'";
    assert_eq!(
        one(&mut client, trail).as_deref(),
        Some(r#"change {"to": "argon2id", "from": "argon2id"} apikey usage flush"#)
    );
}

/// By a role that may check and nothing else, and where uses are not counted.
#[test]
fn a_checker_renews_too_whatever_its_transaction() {
    let mut database = Database::new();
    let checker = database.checker();
    let (mut client, mut watching) = (database.connect(&checker), database.superuser());
    let off = format!("ALTER DATABASE {} SET apikey.track_usage = off", database.name);
    watching.batch_execute(&off).unwrap();
    for kind in ["READ ONLY", "ISOLATION LEVEL REPEATABLE READ", "ISOLATION LEVEL SERIALIZABLE"] {
        let key = costly_key(&database);
        eventually("the hash is renewed", || {
            client.batch_execute(&format!("BEGIN {kind}")).unwrap();
            assert!(is_valid(&mut client, &key), "{kind}");
            let written = one(&mut client, "SELECT pg_current_xact_id_if_assigned()");
            assert_eq!(written, None, "{kind}");
            client.batch_execute("COMMIT").unwrap();
            cost(&mut watching, &key) == SET_COST
        });
    }
}

/// Without another hash: it waits in memory until the row is free.
#[test]
fn a_row_that_is_held_is_tried_again() {
    let database = alone(EVERY_SECOND);
    let (mut holding, mut client) = (database.superuser(), database.superuser());
    let key = costly_key(&database);
    let mut transaction = holding.transaction().unwrap();
    transaction.batch_execute("UPDATE apikey.key SET revoked_at = now()").unwrap();
    let before = stat(&mut client, "hashes");
    client.batch_execute("SET lock_timeout = '1ms'").unwrap();
    wait_for_a_worker(&mut client, &key);
    assert_eq!(cost(&mut client, &key), TWICE);
    transaction.rollback().unwrap();
    wait_for_renewed(&mut client, &key);
    assert_eq!(stat(&mut client, "hashes") - before, 2, "one that it is right, and the new one");
}

#[test]
fn a_row_that_changed_or_ended_meanwhile_is_left_alone() {
    let database = alone(EVERY_HOUR);
    let mut client = database.superuser();
    let [revoked, rehashed, deleted] = costly_keys(&database, 3).try_into().unwrap();
    for key in [&revoked, &rehashed, &deleted] {
        assert!(is_valid(&mut client, key));
    }
    one(&mut client, &format!("SELECT apikey_revoke('{revoked}')"));
    client
        .batch_execute(&format!(
            "SET apikey.argon2_memory = '3MB';
             UPDATE apikey.key SET verifier = apikey.make_verifier('{rehashed}') WHERE prefix = '{}';
             DELETE FROM apikey.key WHERE prefix = '{}'",
            &rehashed[..8],
            &deleted[..8]
        ))
        .unwrap();
    let rows = "SELECT string_agg(k::text, ' ' ORDER BY prefix) FROM apikey.key AS k";
    let before = one(&mut client, rows);
    reload_with(&mut client, EVERY_SECOND);
    wait_for_a_worker(&mut client, &rehashed);
    assert_eq!(one(&mut client, rows), before);
    assert!(!database.cluster.log().contains("is not stored"));
}

#[test]
fn a_key_that_is_not_valid_is_not_renewed() {
    let database = alone(EVERY_SECOND);
    let mut client = database.superuser();
    let key = costly_key(&database);
    client.batch_execute("UPDATE apikey.key SET disabled_at = now()").unwrap();
    let before = stat(&mut client, "hashes");
    assert!(!is_valid(&mut client, &key));
    assert_eq!(stat(&mut client, "hashes"), before);
}

/// A trigger fails as a full disk does, or as somebody wants it who has a reason, at once or at the
/// commit.
#[test]
fn a_hash_that_cannot_be_stored_costs_one_hash_and_nobody_an_error() {
    let database = alone(EVERY_SECOND);
    let mut client = database.superuser();
    client
        .batch_execute(
            "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS
                 $$ BEGIN RAISE 'as a test has it' USING ERRCODE = TG_ARGV[0]; END $$",
        )
        .unwrap();
    for (number, trigger) in [
        "TRIGGER failing BEFORE UPDATE ON apikey.key FOR EACH ROW EXECUTE FUNCTION fail('disk_full')",
        "CONSTRAINT TRIGGER failing AFTER UPDATE ON apikey.key DEFERRABLE INITIALLY DEFERRED
             FOR EACH ROW EXECUTE FUNCTION fail('insufficient_privilege')",
    ]
    .iter()
    .enumerate()
    {
        let [key, other] = costly_keys(&database, 2).try_into().unwrap();
        client.batch_execute(&format!("CREATE {trigger}")).unwrap();
        let before = stat(&mut client, "hashes");
        for key in [&key, &other] {
            wait_for_a_worker(&mut client, key);
            assert!((0..3).all(|_| is_valid(&mut client, key)));
            assert_eq!(cost(&mut client, key), TWICE, "{trigger}");
        }
        assert_eq!(stat(&mut client, "hashes") - before, 4, "{trigger}");
        let log = database.cluster.log();
        let why = format!("the new hash of API key {} is not stored: as a test has it", &key[..8]);
        assert_eq!(log.matches(&why).count(), 1, "{trigger}");
        assert_eq!(log.matches("HINT:  The key works, with the hash").count(), 2 * (number + 1));
        assert!(!log.contains(&key[9..]) && !log.contains("argon2id$"));

        client.batch_execute("DROP TRIGGER failing ON apikey.key").unwrap();
        for key in [&key, &other] {
            wait_for_renewed(&mut client, key);
        }
        assert_eq!(stat(&mut client, "hashes") - before, 4, "{trigger}");
    }
}

/// Who looks at the row of yesterday finds yesterday's hash, at each check.
#[test]
fn an_old_snapshot_has_no_hash_made_again() {
    let database = alone(EVERY_SECOND);
    let (mut old, mut client) = (database.superuser(), database.superuser());
    let key = costly_key(&database);
    old.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ").unwrap();
    assert_eq!(cost(&mut old, &key), TWICE);
    wait_for_renewed(&mut client, &key);
    let before = stat(&mut client, "hashes");
    assert!((0..3).all(|_| is_valid(&mut old, &key)));
    assert_eq!(cost(&mut old, &key), TWICE);
    assert_eq!(stat(&mut client, "hashes"), before);
}

/// There is room for 128.
#[test]
fn more_than_there_is_room_for_are_stored_early() {
    let database = alone(EVERY_HOUR);
    let mut client = database.superuser();
    let keys = costly_keys(&database, 200);
    let due = "SELECT string_agg(prefix, ' ') FROM apikey.key WHERE verifier LIKE '%m=2048%'";
    assert!(keys.iter().all(|key| is_valid(&mut client, key)));
    eventually("the hashes for which there is room are stored", || {
        let due = one(&mut client, due).unwrap_or_default();
        keys.iter().filter(|key| due.contains(&key[..8])).all(|key| is_valid(&mut client, key))
            && due.split(' ').count() <= 72
    });
    let hashes = stat(&mut client, "hashes");
    assert!(hashes <= 3 * 200, "{hashes} hashes: to make, to check and to renew each key");
}

/// The holder of a key that is due opens a transaction, checks it, and does nothing more.
#[test]
fn nobody_holds_up_a_revocation_by_a_check() {
    let mut database = Database::new();
    let checker = database.checker();
    let (mut idle, mut client) = (database.connect(&checker), database.superuser());
    let key = costly_key(&database);
    idle.batch_execute("BEGIN").unwrap();
    assert!(is_valid(&mut idle, &key));
    client.batch_execute("SET lock_timeout = '1ms'").unwrap();
    eventually("the key is revoked, once no worker is at its row", || {
        // Within a round, it is stored: somebody may be at it for a moment.
        client.simple_query(&format!("SELECT apikey_revoke('{key}')")).is_ok()
    });
    assert!(!is_valid(&mut idle, &key));
    let held = "SELECT count(*) FROM pg_locks AS l JOIN pg_database AS d ON d.oid = l.database
         WHERE d.datname = current_database() AND l.pid <> pg_backend_pid() AND l.mode <> 'AccessShareLock'
           AND l.relation::regclass::text LIKE 'apikey.%' AND l.pid IN
               (SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend')";
    assert_eq!(one(&mut client, held).as_deref(), Some("0"));
}

/// It holds the table and waits for the index, which the check has.
#[test]
fn a_check_and_a_reindex_are_no_deadlock() {
    let database = Database::new();
    let mut checking = database.superuser();
    let (key, due) = (database.key("'event'"), costly_key(&database));
    checking.batch_execute("BEGIN").unwrap();
    assert!(is_valid(&mut checking, &key));
    std::thread::scope(|scope| {
        let reindexing =
            scope.spawn(|| database.superuser().batch_execute("REINDEX TABLE apikey.key"));
        database.wait_for_blocked(1);
        assert!(is_valid(&mut checking, &due));
        checking.batch_execute("COMMIT").unwrap();
        reindexing.join().unwrap().unwrap();
    });
    wait_for_renewed(&mut checking, &due);
}

/// Plans show the values of parameters, byte by byte, to whoever asks to see them.
#[test]
fn no_plan_shows_a_hash() {
    let mut database = Database::new();
    let key = costly_key(&database);
    let manager = database.login("manager", "");
    let mut client = database.superuser();
    client
        .batch_execute(&format!(
            "GRANT USAGE ON SCHEMA apikey TO {0}; GRANT SELECT (prefix), UPDATE (name) ON apikey.key TO {0};
             GRANT EXECUTE ON FUNCTION apikey_check(text, inet), apikey_authorize, apikey_explain, apikey.refuse_row TO {0}",
            manager.role
        ))
        .unwrap();
    let plans = |statement: &str| {
        let all = format!(
            "SET client_min_messages = log; SET debug_print_plan = on; SET debug_print_parse = on;
             SET debug_print_rewritten = on; SET ROLE {}; {statement}",
            manager.role
        );
        let output = database.client_program("psql", &["-X", "-c", &all]);
        assert_eq!(output.code, Some(0), "{}", output.stderr);
        output.stderr
    };
    let bytes =
        |text: &str| text.bytes().map(|byte| byte.to_string()).collect::<Vec<_>>().join(" ");
    let seen = plans("SELECT 'argon2id'::text || clock_timestamp()");
    assert!(seen.contains(&bytes("argon2id")), "it would not be seen: {seen}");
    // Its end, which nothing else has.
    let verifier =
        format!("SELECT right(verifier, 20) FROM apikey.key WHERE prefix = '{}'", &key[..8]);
    let old = one(&mut client, &verifier).unwrap();
    let shown = [
        format!("SELECT apikey_check('{key}', NULL)"),
        format!("SELECT apikey_authorize('{key}', NULL)"),
        format!("SELECT apikey_explain('{key}', NULL)"),
        format!("UPDATE apikey.key SET name = 'renamed' WHERE prefix = '{}'", &key[..8]),
    ]
    .map(|statement| (plans(&statement), statement));
    wait_for_renewed(&mut client, &key);
    let new = one(&mut client, &verifier).unwrap();
    assert_ne!(old, new);
    for (seen, statement) in shown {
        assert!(seen.contains("PLANNEDSTMT"), "{statement}: {seen}");
        for hash in [&old, &new] {
            assert!(!seen.contains(&bytes(hash)), "{statement}: {seen}");
        }
    }
}

/// As it is while the worker stores it: a revocation that comes in between waits for a moment, and
/// holds.
#[test]
fn a_revocation_during_a_renewal_is_not_lost() {
    let database = Database::new();
    let mut client = database.superuser();
    let key = costly_key(&database);
    client
        .batch_execute(
            "CREATE TABLE gate AS SELECT true AS is_closed;
             CREATE FUNCTION wait_at_gate() RETURNS trigger LANGUAGE plpgsql AS
                 $$ BEGIN
                        WHILE EXISTS (SELECT FROM public.gate) LOOP PERFORM pg_sleep(0.01); END LOOP;
                        RETURN NULL;
                    END $$;
             CREATE TRIGGER waiting AFTER UPDATE OF verifier ON apikey.key FOR EACH ROW EXECUTE FUNCTION wait_at_gate()",
        )
        .unwrap();
    let at_gate = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'apikey usage flush' AND wait_event = 'PgSleep'";
    eventually("the hash is being stored", || {
        assert!(is_valid(&mut client, &key));
        one(&mut client, at_gate).as_deref() == Some("1")
    });
    let revoke = format!("SELECT apikey_revoke('{key}')");
    std::thread::scope(|scope| {
        let revoking = scope.spawn(|| one(&mut database.superuser(), &revoke));
        database.wait_for_blocked(1);
        assert!(is_valid(&mut client, &key), "a check waits for neither");
        client.batch_execute("DELETE FROM gate").unwrap();
        assert_eq!(revoking.join().unwrap().as_deref(), Some("t"));
    });
    assert_eq!(cost(&mut client, &key), SET_COST);
    assert!(!is_valid(&mut client, &key));
}
