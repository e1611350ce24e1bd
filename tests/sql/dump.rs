//! `pg_dump` and restore keep every key.

use apikey_tests::{Cluster, Database, one};

fn keys(database: &Database) -> Vec<(String, &'static str)> {
    let live = database.key("'{\"event\":true}'::jsonb, ips => '{10.0.0.0/8,2001:db8::/32}'");
    let revoked = database.key("'event'");
    let mut client = database.superuser();
    one(&mut client, &format!("SELECT apikey_revoke('{revoked}', 'a \"reason\"')"));
    vec![
        (live, r#"{"auth":{"event":true},"ip_request":"10.0.0.1","ip_valid":true}"#),
        (revoked, "none"),
    ]
}

fn assert_kept(database: &Database, keys: &[(String, &str)], rows: &str) {
    let mut client = database.superuser();
    for (key, expected) in keys {
        let answer = one(&mut client, &format!("SELECT apikey_check('{key}', '10.0.0.1')"));
        assert_eq!(answer.as_deref().unwrap_or("none"), *expected);
    }
    assert_eq!(one(&mut client, ROWS).unwrap(), rows);
}

const ROWS: &str = "SELECT string_agg(k::text, E'\\n' ORDER BY prefix) FROM apikey.key AS k";

fn restore(into: &Database, dump: &str) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), dump).unwrap();
    let path = file.path().to_str().unwrap();
    into.client_program("psql", &["-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", path]).success();
}

#[test]
fn a_whole_dump_is_restored_into_an_empty_database() {
    let from = Database::new();
    let keys = keys(&from);
    let rows = one(&mut from.superuser(), ROWS).unwrap();
    let dump = from.client_program("pg_dump", &[]).success();
    let into = Database::without_extension(Cluster::shared());
    restore(&into, &dump);
    assert_kept(&into, &keys, &rows);
}

#[test]
fn the_data_alone_is_restored_into_a_fresh_extension() {
    let from = Database::new();
    let keys = keys(&from);
    let rows = one(&mut from.superuser(), ROWS).unwrap();
    let dump = from.client_program("pg_dump", &["--data-only"]).success();
    let into = Database::new();
    restore(&into, &dump);
    assert_kept(&into, &keys, &rows);
}
