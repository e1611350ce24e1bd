//! `apikey_check`: which keys are valid, and when that is known.

use apikey_tests::{Database, PUBLISHED_KEY, one};
use postgres::Client;

fn check(client: &mut Client, key: &str) -> Option<String> {
    let row = client.query_one("SELECT apikey_check($1, NULL)::text", &[&key]).unwrap();
    row.get(0)
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
