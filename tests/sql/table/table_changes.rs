//! Connections remember where the table, its index and its columns are. Whatever changes of these,
//! by whomever, holds for the next check.

use apikey_tests::{Database, eventually, one};
use postgres::Client;
use postgres::error::SqlState;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

fn check(client: &mut Client, key: &str) -> Option<String> {
    one(client, &format!("SELECT apikey_check('{key}', '10.0.0.1')"))
}

/// Changes that are nobody's damage. The check is right after each of them, on the connection that
/// made it and on another.
#[test]
fn a_table_that_changed_is_found_again() {
    let database = Database::new();
    let [mut changing, mut checking] = [(); 2].map(|()| database.superuser());
    let key = database.key("'event', '10.0.0.0/8'");
    let revoked = database.key("'event'");
    one(&mut changing, &format!("SELECT apikey_revoke('{revoked}')"));
    let answer = check(&mut checking, &key);
    assert!(answer.is_some() && check(&mut changing, &key) == answer);
    for change in [
        "REINDEX TABLE apikey.key",
        "REINDEX INDEX CONCURRENTLY apikey.key_pkey",
        "ALTER TABLE apikey.key ADD COLUMN colour text",
        "ALTER TABLE apikey.key DROP COLUMN colour",
        "VACUUM FULL apikey.key",
        "CLUSTER apikey.key USING key_pkey",
        "ALTER TABLE apikey.key SET (fillfactor = 50)",
        "DROP INDEX CONCURRENTLY IF EXISTS apikey.no_such_index",
        "CREATE INDEX CONCURRENTLY ON apikey.key (name)",
    ] {
        changing.batch_execute(change).unwrap_or_else(|error| panic!("{change}: {error:?}"));
        for client in [&mut changing, &mut checking, &mut database.superuser()] {
            assert_eq!(check(client, &key), answer, "{change}");
            assert_eq!(check(client, &revoked), None, "{change}");
        }
    }
}

#[test]
fn another_table_of_the_name_counts_at_once_and_until_it_is_rolled_back() {
    let database = Database::new();
    let mut client = database.superuser();
    let key = database.key("'event'");
    let answer = check(&mut client, &key);
    assert!(answer.is_some());
    // Without the row of the key.
    let replace = "ALTER TABLE apikey.key RENAME TO kept;
                   CREATE TABLE apikey.key (LIKE apikey.kept INCLUDING ALL)";
    let mut transaction = client.transaction().unwrap();
    transaction.batch_execute(replace).unwrap();
    let sql = format!("SELECT apikey_check('{key}', NULL)::text");
    let checked: Option<String> = transaction.query_one(&sql, &[]).unwrap().get(0);
    assert_eq!(checked, None);
    transaction.rollback().unwrap();
    assert_eq!(check(&mut client, &key), answer);

    let mut other = database.superuser();
    other.batch_execute(replace).unwrap();
    assert_eq!(check(&mut client, &key), None);
    other.batch_execute("DROP TABLE apikey.key; ALTER TABLE apikey.kept RENAME TO key").unwrap();
    assert_eq!(check(&mut client, &key), answer);
}

#[test]
fn an_extension_that_was_dropped_and_made_again_is_the_new_one() {
    let database = Database::new();
    let mut client = database.superuser();
    let old = database.key("'event'");
    assert!(check(&mut client, &old).is_some());
    let mut other = database.superuser();
    other.batch_execute("DROP EXTENSION apikey CASCADE").unwrap();
    other.batch_execute("CREATE EXTENSION apikey").unwrap();
    let new = database.key("'event'");
    assert_eq!(check(&mut client, &old), None);
    assert!(check(&mut client, &new).is_some());
}

/// While others check, which neither fails nor takes a good key for a bad one.
#[test]
fn an_index_is_rebuilt_under_load() {
    let database = Database::new();
    let key = database.key("'event'");
    let (is_done, all_have_begun) = (AtomicBool::new(false), Barrier::new(3));
    thread::scope(|scope| {
        let checking = || {
            let mut client = database.superuser();
            let mut check = || {
                let sql = "SELECT apikey_check($1, NULL)::text";
                let answer: Option<String> = client.query_one(sql, &[&key]).unwrap().get(0);
                assert!(answer.is_some());
            };
            check();
            all_have_begun.wait();
            while !is_done.load(Relaxed) {
                check();
            }
        };
        let clients = [scope.spawn(checking), scope.spawn(checking)];
        let mut client = database.superuser();
        all_have_begun.wait();
        for _ in 0..20 {
            client.batch_execute("REINDEX INDEX CONCURRENTLY apikey.key_pkey").unwrap();
            client.batch_execute("REINDEX INDEX apikey.key_pkey").unwrap();
        }
        let count = |client: &mut Client| {
            one(client, "SELECT value FROM apikey_stats WHERE name = 'accepted'")
        };
        let before = count(&mut client);
        eventually("they go on checking", || count(&mut client) != before);
        is_done.store(true, Relaxed);
        for client in clients {
            client.join().unwrap();
        }
    });
}

/// Two checks that have found the table's name, and wait for its lock until this is done: the one
/// looks the table up for the first time, and the other knows it already.
fn waiting_for<T: Send + 'static>(
    database: &Database,
    change: &str,
    check: fn(&mut Client, &str) -> T,
) -> [(Client, T); 2] {
    let key = database.key("'event'");
    let mut changing = database.superuser();
    let (first, mut second) = (database.superuser(), database.superuser());
    check(&mut second, &key);
    let mut transaction = changing.transaction().unwrap();
    transaction.batch_execute(change).unwrap();
    let waiting = [first, second].map(|mut client| {
        let key = key.clone();
        std::thread::spawn(move || {
            let outcome = check(&mut client, &key);
            (client, outcome)
        })
    });
    database.wait_for_blocked(2);
    transaction.commit().unwrap();
    waiting.map(|waiting| waiting.join().unwrap())
}

#[test]
fn checks_that_wait_for_the_table_to_be_dropped_are_errors() {
    let database = Database::new();
    let code = |client: &mut Client, key: &str| {
        let error = client.query_one("SELECT apikey_check($1, NULL)::text", &[&key]).err()?;
        error.code().cloned()
    };
    let checks = waiting_for(&database, "DROP EXTENSION apikey", code);
    database.superuser().batch_execute("CREATE EXTENSION apikey").unwrap();
    let key = database.key("'event'");
    for (mut client, code) in checks {
        assert_eq!(code, Some(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE));
        assert!(check(&mut client, &key).is_some());
    }
}

/// As for a SELECT, which takes its snapshot when it has the lock: in all calls of a statement, and
/// of a cursor.
#[test]
fn checks_that_wait_for_the_table_to_be_rewritten_find_the_key() {
    let database = Database::new();
    let rewrite = "ALTER TABLE apikey.key ADD COLUMN note text DEFAULT clock_timestamp()::text";
    let valid = |client: &mut Client, key: &str| {
        let sql = "SELECT apikey_check($1, NULL)::text FROM generate_series(1, 10)";
        let mut transaction = client.transaction().unwrap();
        let statement = transaction.prepare(sql).unwrap();
        let portal = transaction.bind(&statement, &[&key]).unwrap();
        let rows = [7, 7].map(|rows| transaction.query_portal(&portal, rows).unwrap());
        rows.iter().flatten().filter(|row| row.get::<_, Option<&str>>(0).is_some()).count()
    };
    for (_, valid) in waiting_for(&database, rewrite, valid) {
        assert_eq!(valid, 10);
    }
}
