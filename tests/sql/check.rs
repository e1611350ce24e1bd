//! `apikey_check`: which keys are valid, and when that is known.

use apikey_tests::{Database, PUBLISHED_KEY, one};
use postgres::Client;
use postgres::error::SqlState;

const CHECK: &str = "SELECT apikey_check($1, NULL)::text";

fn check(client: &mut Client, key: &str) -> Option<String> {
    client.query_one(CHECK, &[&key]).unwrap().get(0)
}

#[test]
fn any_text_is_a_legal_key_and_a_bad_one_is_null() {
    let database = Database::new();
    let mut client = database.superuser();
    let key = database.key("'event'");
    let mut bad = vec![
        String::new(),
        " ".to_owned(),
        ".".to_owned(),
        PUBLISHED_KEY.to_owned(),
        key[..8].to_owned(),
        key[..9].to_owned(),
        key[9..].to_owned(),
        key.to_uppercase(),
        key.to_lowercase(),
        key.replace('.', ""),
        key.replace('.', " "),
        key.replace('.', ".."),
        format!("{key}."),
        format!("Api-Key {key}"),
        "é".repeat(20) + "!",
        "\u{1}".repeat(41),
        format!("{key}\u{feff}"),
        "k".repeat(1_000_000),
        "%".to_owned(),
        "' OR true --".to_owned(),
    ];
    for space in [" ", "\t", "\n", "\u{a0}"] {
        bad.extend([format!("{key}{space}"), format!("{space}{key}")]);
    }
    for at in 0..key.len() {
        let mut shorter = key.clone();
        shorter.remove(at);
        bad.push(shorter);
        let mut changed = key.clone();
        changed.replace_range(at..=at, if &key[at..=at] == "x" { "y" } else { "x" });
        bad.push(changed);
    }
    for text in bad {
        assert_eq!(check(&mut client, &text), None, "{:.60}", text);
    }
    assert_eq!(one(&mut client, "SELECT apikey_check(NULL, '10.0.0.1')"), None);
    assert_eq!(one(&mut client, r"SELECT apikey_check('a\u0000b', '10.0.0.1')"), None);
    assert!(check(&mut client, &key).is_some());
}

/// Each change is made by plain SQL, and holds on a connection that knew the key as valid.
#[test]
fn the_verdict_is_read_from_the_row_each_time() {
    let database = Database::new();
    let mut client = database.superuser();
    let mut checking = database.superuser();
    let key = database.key("'event'");
    let valid = |client: &mut Client| check(client, &key).is_some();
    for (change, expected, status) in [
        ("disabled_at = now()", false, "disabled"),
        ("disabled_at = NULL", true, "active"),
        ("expires_at = clock_timestamp() + interval '8 days'", true, "active"),
        ("expires_at = clock_timestamp() + interval '1 hour'", true, "expiring"),
        ("expires_at = created_at", false, "expired"),
        ("expires_at = NULL", true, "active"),
        ("auth = '[\"ticket\"]'", true, "active"),
        ("replaced_by = 'Another1'", true, "rotating"),
        ("tenant = 'venue'", false, "rotating"),
        ("tenant = ''", true, "rotating"),
        ("revoked_at = now()", false, "revoked"),
    ] {
        client.batch_execute(&format!("UPDATE apikey.key SET {change}")).unwrap();
        assert_eq!(valid(&mut checking), expected, "{change}");
        assert_eq!(one(&mut client, "SELECT status FROM apikeys").as_deref(), Some(status));
    }
}

#[test]
fn a_deleted_key_is_unknown_and_its_neighbours_are_not() {
    let database = Database::new();
    let mut client = database.superuser();
    let (deleted, kept) = (database.key("'event'"), database.key("'event'"));
    client.execute("DELETE FROM apikey.key WHERE prefix = $1", &[&&deleted[..8]]).unwrap();
    assert_eq!(check(&mut client, &deleted), None);
    assert!(check(&mut client, &kept).is_some());
}

#[test]
fn a_key_expires_inside_an_open_transaction() {
    let database = Database::new();
    let mut client = database.superuser();
    let key = database.key("'event', expires_at => clock_timestamp() + interval '1 second'");
    client.batch_execute("BEGIN").unwrap();
    assert!(check(&mut client, &key).is_some());
    client.batch_execute("SELECT pg_sleep(1.1)").unwrap();
    assert_eq!(check(&mut client, &key), None);
}

#[test]
fn an_uncommitted_revocation_is_its_own_transactions_alone() {
    let database = Database::new();
    let (mut revoking, mut checking) = (database.superuser(), database.superuser());
    let key = database.key("'event'");
    let mut transaction = revoking.transaction().unwrap();
    transaction.batch_execute(&format!("SELECT apikey_revoke('{key}')")).unwrap();
    let own: Option<String> =
        transaction.query_one("SELECT apikey_check($1, NULL)::text", &[&key]).unwrap().get(0);
    assert_eq!(own, None);
    assert!(check(&mut checking, &key).is_some());
    transaction.commit().unwrap();
    assert_eq!(check(&mut checking, &key), None);
}

#[test]
fn a_check_reads_only() {
    let database = Database::new();
    let mut client = database.superuser();
    let key = database.key("'event'");
    client.batch_execute("BEGIN READ ONLY").unwrap();
    assert!(check(&mut client, &key).is_some());
    assert_eq!(one(&mut client, "SELECT pg_current_xact_id_if_assigned()"), None);
    client.batch_execute("COMMIT; BEGIN").unwrap();
    assert!(check(&mut client, &key).is_some());
    assert_eq!(one(&mut client, "SELECT pg_current_xact_id_if_assigned()"), None);
}

#[test]
fn one_check_is_one_index_look_up() {
    let database = Database::new();
    let mut client = database.superuser();
    let key = database.key("'event'");
    client.batch_execute("SET enable_seqscan = off; BEGIN").unwrap();
    let scans = "SELECT coalesce(sum(pg_stat_get_xact_numscans(indexrelid)), 0)::text
                   FROM pg_index WHERE indrelid = 'apikey.key'::regclass";
    let before: u32 = one(&mut client, scans).unwrap().parse().unwrap();
    for _ in 0..10 {
        check(&mut client, &key).unwrap();
    }
    let after: u32 = one(&mut client, scans).unwrap().parse().unwrap();
    assert_eq!(after - before, 10);
}

#[test]
fn a_connection_survives_the_extension_being_replaced() {
    let database = Database::new();
    let (mut client, mut checking) = (database.superuser(), database.superuser());
    let key = database.key("'event'");
    assert!(check(&mut checking, &key).is_some());
    client.batch_execute("DROP EXTENSION apikey; CREATE EXTENSION apikey").unwrap();
    assert_eq!(check(&mut checking, &key), None);
    let key = database.key("'event'");
    assert!(check(&mut checking, &key).is_some());
}

/// Two checks that have found the table's name, and wait for its lock until this is done: the one looks the table up for
/// the first time, and the other knows it already.
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
        let error = client.query_one(CHECK, &[&key]).err()?;
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

/// As for a SELECT, which takes its snapshot when it has the lock: in all calls of a statement, and of a cursor.
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
