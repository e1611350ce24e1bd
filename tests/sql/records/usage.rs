//! Each use of a key is counted, once, and costs no write.

use apikey_tests::{Database, eventually, one, refused};
use postgres::Client;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::SeqCst};

pub fn check(client: &mut Client, key: &str, ip: &str) -> Option<String> {
    one(client, &format!("SELECT apikey_check('{key}', {ip})"))
}

/// `accepted refused address`, as the view has it.
pub fn used(client: &mut Client, key: &str) -> String {
    of_key(client, "apikeys", key).unwrap()
}

/// The same as it is stored; `None` if nothing is.
pub fn stored(client: &mut Client, key: &str) -> Option<String> {
    of_key(client, "apikey.usage", key)
}

fn of_key(client: &mut Client, relation: &str, key: &str) -> Option<String> {
    let query = format!(
        "SELECT max(concat_ws(' ', accepted, refused, coalesce(host(last_used_ip), '-'))) FROM {relation} WHERE prefix = '{}'",
        &key[..8]
    );
    one(client, &query)
}

pub fn wait_for_stored(client: &mut Client, key: &str, expected: &str) {
    eventually("the use is stored", || stored(client, key).as_deref() == Some(expected));
}

#[test]
fn every_outcome_is_counted() {
    let database = Database::new();
    let mut client = database.superuser();
    let key = database.key("'event', ips => '{10.0.0.0/8,2001:db8::/32}'");
    let never = "SELECT last_used_at IS NULL AND last_used_ip IS NULL AND accepted = 0 AND refused = 0 FROM apikeys";
    assert_eq!(one(&mut client, never).as_deref(), Some("t"));

    check(&mut client, &key, "'10.0.0.1'");
    assert_eq!(used(&mut client, &key), "1 0 10.0.0.1");
    check(&mut client, &key, "'2001:db8::1'");
    assert_eq!(used(&mut client, &key), "2 0 2001:db8::1");
    check(&mut client, &key, "'::ffff:10.0.0.2'");
    assert_eq!(used(&mut client, &key), "3 0 10.0.0.2");

    check(&mut client, &key, "'192.0.2.1'");
    assert_eq!(used(&mut client, &key), "3 1 10.0.0.2", "a wrong address");
    check(&mut client, &key, "NULL");
    assert_eq!(used(&mut client, &key), "3 2 10.0.0.2", "an unknown address");
    let wrong = format!("{}.{}", &key[..8], "x".repeat(32));
    check(&mut client, &wrong, "'10.0.0.1'");
    assert_eq!(used(&mut client, &key), "3 3 10.0.0.2", "a wrong secret");
    one(&mut client, &format!("SELECT apikey_check('{key}', '10.0.0.1', 'another venue')"));
    assert_eq!(used(&mut client, &key), "3 4 10.0.0.2", "a wrong tenant");
    let ends = ["disabled_at = now()", "expires_at = created_at", "revoked_at = now()"];
    for (number, end) in ends.into_iter().enumerate() {
        client
            .batch_execute("UPDATE apikey.key SET disabled_at = NULL, expires_at = NULL")
            .unwrap();
        client.batch_execute(&format!("UPDATE apikey.key SET {end}")).unwrap();
        check(&mut client, &key, "'10.0.0.1'");
        assert_eq!(used(&mut client, &key), format!("3 {} 10.0.0.2", 5 + number), "{end}");
    }
    wait_for_stored(&mut client, &key, "3 7 10.0.0.2");
    assert_eq!(used(&mut client, &key), "3 7 10.0.0.2");
}

#[test]
fn the_last_use_has_its_time_and_an_address_if_that_is_known() {
    let database = Database::new();
    let mut client = database.superuser();
    let key = database.key("'event'");
    check(&mut client, &key, "'10.0.0.1'");
    wait_for_stored(&mut client, &key, "1 0 10.0.0.1");
    client.batch_execute("CREATE TABLE before AS SELECT clock_timestamp() AS at").unwrap();
    check(&mut client, &key, "NULL");
    let is_now =
        "SELECT last_used_at BETWEEN (SELECT at FROM before) AND clock_timestamp() FROM apikeys";
    assert_eq!(one(&mut client, is_now).as_deref(), Some("t"));
    assert_eq!(used(&mut client, &key), "2 0 -");
    wait_for_stored(&mut client, &key, "2 0 -");
    assert_eq!(one(&mut client, is_now).as_deref(), Some("t"));
}

#[test]
fn what_is_no_key_here_is_not_counted() {
    let database = Database::new();
    let mut client = database.superuser();
    for text in ["Map0K71T.rcs82Q66NuCUCuyTmnjVhmwhfl0VnOsW", "Map0K71T", "", "x"] {
        assert_eq!(check(&mut client, text, "NULL"), None);
    }
    let counted = "SELECT count(*) FROM apikey.usage_in_memory()";
    assert_eq!(one(&mut client, counted).as_deref(), Some("0"));
}

/// Many connections check, and the worker stores meanwhile: the view goes up by what was used, and
/// never back.
#[test]
fn the_count_is_exact_while_it_is_stored() {
    let database = Database::new();
    let mut client = database.superuser();
    let keys: Vec<_> = (0..3).map(|_| database.key("'event', '10.0.0.1'")).collect();
    let (stop, accepted, refused) = (AtomicBool::new(false), AtomicI64::new(0), AtomicI64::new(0));
    let sums =
        |relation: &str| format!("SELECT sum(accepted) || ' ' || sum(refused) FROM {relation}");
    std::thread::scope(|scope| {
        for connection in 0..8 {
            let (database, keys, stop) = (&database, &keys, &stop);
            let (accepted, refused) = (&accepted, &refused);
            scope.spawn(move || {
                let mut client = database.superuser();
                for round in connection.. {
                    if stop.load(SeqCst) {
                        break;
                    }
                    let (ip, count) =
                        [("'10.0.0.1'", accepted), ("'10.0.0.2'", refused)][round / 3 % 2];
                    check(&mut client, &keys[round % 3], ip).unwrap();
                    count.fetch_add(1, SeqCst);
                }
            });
        }
        let (mut seen, mut batches, mut last) = (0, 0, None);
        eventually("three batches are stored", || {
            let now = one(&mut client, "SELECT sum(accepted) FROM apikeys").unwrap();
            let now = now.parse::<i64>().unwrap();
            assert!(seen <= now, "the count went back from {seen} to {now}");
            seen = now;
            let stored = one(&mut client, &sums("apikey.usage"));
            if stored != last {
                batches += 1;
                last = stored;
            }
            batches > 3
        });
        stop.store(true, SeqCst);
    });
    let total = format!("{} {}", accepted.load(SeqCst), refused.load(SeqCst));
    assert_eq!(one(&mut client, &sums("apikeys")).unwrap(), total);
    eventually("all is stored", || {
        one(&mut client, &sums("apikey.usage")).as_ref() == Some(&total)
    });
    assert_eq!(one(&mut client, &sums("apikeys")).unwrap(), total);
}

#[test]
fn a_snapshot_of_before_a_batch_shows_the_same_count() {
    let database = Database::new();
    let (mut client, mut other) = (database.superuser(), database.superuser());
    let key = database.key("'event'");
    check(&mut client, &key, "NULL");
    client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ").unwrap();
    assert_eq!(stored(&mut client, &key).unwrap_or_default(), "");
    check(&mut other, &key, "NULL");
    assert_eq!(used(&mut client, &key), "2 0 -");
    wait_for_stored(&mut other, &key, "2 0 -");
    check(&mut other, &key, "NULL");
    wait_for_stored(&mut other, &key, "3 0 -");
    assert_eq!(stored(&mut client, &key).unwrap_or_default(), "", "the snapshot has no row yet");
    assert_eq!(used(&mut client, &key), "3 0 -");
    client.batch_execute("COMMIT").unwrap();
    assert_eq!(used(&mut client, &key), "3 0 -");
}

#[test]
fn a_use_counts_whatever_becomes_of_its_transaction() {
    let database = Database::new();
    let (mut client, mut other) = (database.superuser(), database.superuser());
    let key = database.key("'event'");
    client.batch_execute("BEGIN").unwrap();
    check(&mut client, &key, "NULL");
    client.batch_execute("ROLLBACK").unwrap();
    assert_eq!(used(&mut client, &key), "1 0 -");

    // A batch comes by while only this transaction knows the key.
    client.batch_execute("BEGIN").unwrap();
    let new = one(&mut client, "SELECT apikey_create('new', 'event')").unwrap();
    check(&mut client, &new, "NULL");
    check(&mut other, &key, "NULL");
    wait_for_stored(&mut other, &key, "2 0 -");
    assert_eq!(used(&mut client, &new), "1 0 -");
    client.batch_execute("COMMIT").unwrap();
    assert_eq!(used(&mut client, &new), "1 0 -");
    check(&mut client, &new, "NULL");
    wait_for_stored(&mut client, &new, "2 0 -");
}

#[test]
fn an_error_loses_nothing() {
    let database = Database::new();
    let mut client = database.superuser();
    let key = database.key("'event'");
    check(&mut client, &key, "NULL");
    wait_for_stored(&mut client, &key, "1 0 -");
    let rule = format!("no_more_in_{}", database.name);
    let forbid = format!("ALTER TABLE apikey.usage ADD CONSTRAINT {rule} CHECK (accepted < 2)");
    client.batch_execute(&forbid).unwrap();
    for _ in 0..3 {
        check(&mut client, &key, "NULL");
    }
    eventually("the worker fails", || database.cluster.log().matches(&rule).count() > 1);
    assert_eq!(stored(&mut client, &key).as_deref(), Some("1 0 -"));
    assert_eq!(used(&mut client, &key), "4 0 -");
    client.batch_execute(&format!("ALTER TABLE apikey.usage DROP CONSTRAINT {rule}")).unwrap();
    wait_for_stored(&mut client, &key, "4 0 -");
}

#[test]
fn a_row_that_somebody_holds_keeps_no_other_back() {
    let database = Database::new();
    let (mut client, mut holder) = (database.superuser(), database.superuser());
    let [held, free, new] = [(); 3].map(|()| database.key("'event'"));
    for key in [&held, &free] {
        check(&mut client, key, "NULL");
        wait_for_stored(&mut client, key, "1 0 -");
    }
    let delete = format!("BEGIN; DELETE FROM apikey.key WHERE prefix = '{}'", &held[..8]);
    holder.batch_execute(&delete).unwrap();
    for key in [&held, &free, &new] {
        check(&mut client, key, "NULL");
    }
    wait_for_stored(&mut client, &free, "2 0 -");
    wait_for_stored(&mut client, &new, "1 0 -");
    assert_eq!(stored(&mut client, &held).as_deref(), Some("1 0 -"));
    holder.batch_execute("ROLLBACK").unwrap();
    wait_for_stored(&mut client, &held, "2 0 -");
}

#[test]
fn a_table_that_is_locked_is_tried_again() {
    let database = Database::new();
    let (mut client, mut holder) = (database.superuser(), database.superuser());
    let key = database.key("'event'");
    holder.batch_execute("BEGIN; LOCK apikey.usage").unwrap();
    check(&mut client, &key, "NULL");
    let waiting =
        "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'apikey.usage'::regclass";
    eventually("the worker waits", || one(&mut client, waiting).as_deref() == Some("1"));
    eventually("it gives up", || one(&mut client, waiting).as_deref() == Some("0"));
    holder.batch_execute("ROLLBACK").unwrap();
    wait_for_stored(&mut client, &key, "1 0 -");
}

#[test]
fn with_a_key_goes_what_is_stored_about_it() {
    let database = Database::new();
    let mut client = database.superuser();
    for role in ["origin", "replica"] {
        let key = database.key("'event'");
        check(&mut client, &key, "NULL");
        wait_for_stored(&mut client, &key, "1 0 -");
        let delete = format!("SET session_replication_role = {role}; DELETE FROM apikey.key");
        client.batch_execute(&delete).unwrap();
        assert_eq!(stored(&mut client, &key).unwrap_or_default(), "");
    }
    let by_hand = database.key("'event'");
    check(&mut client, &by_hand, "NULL");
    client.batch_execute("DELETE FROM apikey.key").unwrap();
    // Another use is stored, so the worker came by, and found no key for the first one.
    let other = database.key("'event'");
    check(&mut client, &other, "NULL");
    wait_for_stored(&mut client, &other, "1 0 -");
    let rows = "SELECT count(*) FROM apikey.usage";
    assert_eq!(one(&mut client, rows).as_deref(), Some("1"));
}

#[test]
fn a_rotated_key_begins_anew() {
    let database = Database::new();
    let mut client = database.superuser();
    let key = database.key("'event'");
    check(&mut client, &key, "NULL");
    let rotate = format!("SELECT apikey_rotate('{key}', '1 day')");
    let successor = one(&mut client, &rotate).unwrap();
    assert_eq!(used(&mut client, &successor), "0 0 -");
    assert_eq!(used(&mut client, &key), "1 0 -");
}

/// The same prefix in two databases is two keys.
#[test]
fn each_database_has_its_own_counts() {
    let (mine, other) = (Database::new(), Database::new());
    let (mut here, mut there) = (mine.superuser(), other.superuser());
    let key = mine.key("'event'");
    let verifier = one(&mut here, "SELECT verifier FROM apikey.key").unwrap();
    there
        .execute(
            "INSERT INTO apikey.key (prefix, verifier, name, auth) VALUES ($1, $2, 'a', '\"event\"')",
            &[&&key[..8], &verifier],
        )
        .unwrap();
    for _ in 0..2 {
        check(&mut here, &key, "'10.0.0.1'");
    }
    check(&mut there, &key, "'10.0.0.2'");
    assert_eq!(used(&mut here, &key), "2 0 10.0.0.1");
    assert_eq!(used(&mut there, &key), "1 0 10.0.0.2");
    wait_for_stored(&mut here, &key, "2 0 10.0.0.1");
    wait_for_stored(&mut there, &key, "1 0 10.0.0.2");
}

#[test]
fn counting_can_be_switched_off_by_a_superuser() {
    let mut database = Database::new();
    let stranger = database.login("stranger", "");
    let mut client = database.superuser();
    let key = database.key("'event'");
    client.batch_execute("SET apikey.track_usage = off").unwrap();
    assert!(check(&mut client, &key, "NULL").is_some());
    assert_eq!(used(&mut client, &key), "0 0 -");
    client.batch_execute("SET apikey.track_usage = on").unwrap();
    check(&mut client, &key, "NULL");
    assert_eq!(used(&mut client, &key), "1 0 -");
    let mut client = database.connect(&stranger);
    client.batch_execute("LOAD 'apikey'").unwrap_or_default();
    let refusal = refused(client.batch_execute("SET apikey.track_usage = off"));
    assert_eq!(refusal.sqlstate(), "42501");
}

#[test]
fn an_extension_that_is_dropped_in_use_comes_back() {
    let database = Database::new();
    let mut client = database.superuser();
    for _ in 0..3 {
        let key = database.key("'event'");
        check(&mut client, &key, "NULL");
        client.batch_execute("DROP EXTENSION apikey; CREATE EXTENSION apikey").unwrap();
    }
    let key = database.key("'event'");
    check(&mut client, &key, "NULL");
    wait_for_stored(&mut client, &key, "1 0 -");
}

/// Without FORCE: the worker is in nobody's way for long.
#[test]
fn a_database_can_be_dropped_right_after_a_check() {
    let database = Database::new();
    let mut maintenance = database.superuser();
    for number in 0..3 {
        let name = format!("{}_{number}", database.name);
        let copy = format!("CREATE DATABASE {name}");
        maintenance.batch_execute(&copy).unwrap();
        let fill = "CREATE EXTENSION apikey; SET apikey.argon2_memory = '1MB';
                    SELECT apikey_check(apikey_create('a', 'event'), NULL)";
        database.client_program("psql", &["-X", "-q", "-d", &name, "-c", fill]).success();
        maintenance.batch_execute(&format!("DROP DATABASE {name}")).unwrap();
    }
}

/// As docs/managing-keys.md says.
#[test]
fn a_superuser_can_begin_anew() {
    let database = Database::new();
    let mut client = database.superuser();
    let key = database.key("'event'");
    check(&mut client, &key, "NULL");
    wait_for_stored(&mut client, &key, "1 0 -");
    client.batch_execute("UPDATE apikey.usage SET accepted = 0, refused = 0").unwrap();
    assert_eq!(used(&mut client, &key), "0 0 -");
    check(&mut client, &key, "NULL");
    assert_eq!(used(&mut client, &key), "1 0 -");
    wait_for_stored(&mut client, &key, "1 0 -");
}

#[test]
fn the_settings_have_defaults_bounds_and_words() {
    let database = Database::new();
    let shown = one(
        &mut database.superuser(),
        "SELECT string_agg(concat_ws(' ', name, boot_val || unit, min_val || '..' || max_val, context), ', ' ORDER BY name)
           FROM pg_settings
          WHERE name ~ '^apikey[.].*usage' AND short_desc <> '' AND extra_desc <> ''",
    );
    assert_eq!(
        shown.as_deref(),
        Some(
            "apikey.track_usage superuser, apikey.usage_cache_size 1024kB 16..262144 postmaster, \
             apikey.usage_flush_interval 10s 1..3600 sighup"
        )
    );
}
