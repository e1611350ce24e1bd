//! `pg_dump` and restore keep every key, and what was noted about it.

use crate::records::usage::{check, wait_for_stored};
use apikey_tests::{Cluster, Database, one};
use tempfile::TempDir;

/// What is in a database: keys with the answer that each gets, and the rows of the tables.
struct Content {
    answers: Vec<(String, &'static str)>,
    keys: String,
    scopes: String,
    events: String,
    usage: String,
}

const KEYS: &str = "SELECT string_agg(k::text, E'\\n' ORDER BY prefix) FROM apikey.key AS k";
const SCOPES: &str = "SELECT string_agg(s::text, E'\\n' ORDER BY name) FROM apikey.scope AS s";
const EVENTS: &str = "SELECT string_agg(e::text, E'\\n' ORDER BY id) FROM apikey.event AS e";
const USAGE: &str = "SELECT string_agg(u::text, E'\\n' ORDER BY prefix) FROM apikey.usage AS u";

/// Keys in each state, one of them with a scope that is not known any more.
fn fill(database: &Database) -> Content {
    const LEVEL: &str = r#"{"auth":"event","ip_request":"10.0.0.1","ip_valid":true}"#;
    let mut client = database.superuser();
    let networks = database.key(
        "'{\"event\":true}'::jsonb, ips => '{10.0.0.0/8,2001:db8::/32}', owner => 'ada', expires_at => now() + '1 day',
         metadata => '{\"note\": \"a \\\"quoted\\\" one\"}'",
    );
    let of_a_tenant = database.key("'event', tenant => 'chez ada'");
    let [revoked, disabled, rotated, retired] =
        ["event", "event", "event", "fax"].map(|auth| database.key(&format!("'{auth}'")));
    one(&mut client, &format!("SELECT apikey_revoke('{revoked}', 'a \"reason\"')"));
    one(&mut client, &format!("SELECT apikey_disable('{disabled}')"));
    let rotate = format!("SELECT apikey_rotate('{rotated}', '1 day')");
    let successor = one(&mut client, &rotate).unwrap();
    client.batch_execute("INSERT INTO apikey.scope VALUES ('event', 'May see events')").unwrap();
    for key in [&networks, &disabled] {
        check(&mut client, key, "'10.0.0.1'");
    }
    wait_for_stored(&mut client, &networks, "1 0 10.0.0.1");
    wait_for_stored(&mut client, &disabled, "0 1 -");
    let answers = vec![
        (networks, r#"{"auth":{"event":true},"ip_request":"10.0.0.1","ip_valid":true}"#),
        (of_a_tenant, "none"),
        (revoked, "none"),
        (disabled, "none"),
        (rotated, LEVEL),
        (successor, LEVEL),
        (retired, r#"{"auth":"fax","ip_request":"10.0.0.1","ip_valid":true}"#),
    ];
    let [keys, scopes, events, usage] =
        [KEYS, SCOPES, EVENTS, USAGE].map(|rows| one(&mut client, rows).unwrap());
    Content { answers, keys, scopes, events, usage }
}

/// The tables are as they were; the trail is longer by the rows that were brought in.
fn assert_kept(database: &Database, content: &Content) {
    let mut client = database.superuser();
    assert_eq!(one(&mut client, KEYS).unwrap(), content.keys);
    assert_eq!(one(&mut client, SCOPES).unwrap(), content.scopes);
    assert_eq!(one(&mut client, USAGE).unwrap(), content.usage);
    let uses = "SELECT sum(accepted) || ' ' || sum(refused) FROM apikeys";
    assert_eq!(one(&mut client, uses).as_deref(), Some("1 1"));
    let events = one(&mut client, EVENTS).unwrap();
    let (kept, new): (Vec<&str>, Vec<&str>) =
        events.lines().partition(|event| content.events.lines().any(|known| known == *event));
    assert_eq!(kept, content.events.lines().collect::<Vec<_>>());
    assert_eq!(new.len(), content.answers.len(), "{events}");
    assert!(new.iter().all(|event| event.contains(",import,")), "{new:?}");
    for (key, expected) in &content.answers {
        let answer = one(&mut client, &format!("SELECT apikey_check('{key}', '10.0.0.1')"));
        assert_eq!(answer.as_deref().unwrap_or("none"), *expected);
    }
    let (of_a_tenant, _) = &content.answers[1];
    let check = format!("SELECT apikey_check('{of_a_tenant}', NULL, 'chez ada')");
    assert!(one(&mut client, &check).is_some());
}

/// A dump in a file, and how it is restored.
pub struct Dump {
    directory: TempDir,
    with: &'static str,
}

impl Dump {
    pub fn plain(from: &Database, options: &[&str]) -> Self {
        Self::make(from, "psql", &[&["--format=plain"], options].concat())
    }

    pub fn custom(from: &Database, options: &[&str]) -> Self {
        Self::make(from, "pg_restore", &[&["--format=custom"], options].concat())
    }

    fn make(from: &Database, with: &'static str, options: &[&str]) -> Self {
        let dump = Self { directory: tempfile::tempdir().unwrap(), with };
        let file = format!("--file={}", dump.path());
        from.client_program("pg_dump", &[&[file.as_str()], options].concat()).success();
        dump
    }

    fn path(&self) -> String {
        self.directory.path().join("dump").to_str().unwrap().to_owned()
    }

    pub fn restore(&self, into: &Database) {
        let path = self.path();
        let arguments = match self.with {
            "psql" => ["-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", &path],
            _ => ["--exit-on-error", "--no-owner", "--verbose", "-d", &into.name, &path],
        };
        into.client_program(self.with, &arguments).success();
    }
}

#[test]
fn a_whole_dump_is_restored_into_an_empty_database() {
    let from = Database::new();
    let content = fill(&from);
    for dump in [Dump::plain(&from, &[]), Dump::custom(&from, &[])] {
        let into = Database::without_extension(Cluster::shared());
        dump.restore(&into);
        assert_kept(&into, &content);
    }
}

#[test]
fn the_data_alone_is_restored_into_a_fresh_extension() {
    let from = Database::new();
    let content = fill(&from);
    for dump in [Dump::plain(&from, &["--data-only"]), Dump::custom(&from, &["--data-only"])] {
        let into = Database::new();
        dump.restore(&into);
        assert_kept(&into, &content);
    }
}

/// A parallel restore loads the tables in any order: here the use of keys comes before them, and so
/// do the known scopes, of which one key's is none.
#[test]
fn the_order_of_the_tables_does_not_matter() {
    let from = Database::new();
    let content = fill(&from);
    let dump = Dump::custom(&from, &["--data-only"]);
    let into = Database::new();
    for table in ["usage", "scope", "key", "event"] {
        let table = format!("--table={table}");
        let arguments =
            ["--exit-on-error", "--schema=apikey", &table, "-d", &into.name, &dump.path()];
        into.client_program("pg_restore", &arguments).success();
    }
    assert_kept(&into, &content);
}

#[test]
fn the_extension_is_dropped_and_comes_back() {
    let database = Database::new();
    let content = fill(&database);
    let dump = Dump::custom(&database, &["--data-only"]);
    let mut client = database.superuser();
    client.batch_execute("DROP EXTENSION apikey").unwrap();
    let left = "SELECT count(*) FROM pg_namespace WHERE nspname = 'apikey'";
    assert_eq!(one(&mut client, left).as_deref(), Some("0"));
    client.batch_execute("CREATE EXTENSION apikey").unwrap();
    dump.restore(&database);
    assert_kept(&database, &content);
}

#[test]
fn a_second_database_has_keys_of_its_own() {
    let (mine, other) = (Database::new(), Database::new());
    let keys = [(mine.key("'event'"), &mine, &other), (other.key("'event'"), &other, &mine)];
    for (key, home, abroad) in keys {
        let check = format!("SELECT apikey_check('{key}', NULL)");
        assert!(one(&mut home.superuser(), &check).is_some());
        let mut client = abroad.superuser();
        assert_eq!(one(&mut client, &check), None);
        let named = format!("SELECT count(*) FROM apikeys WHERE prefix = '{}'", &key[..8]);
        assert_eq!(one(&mut client, &named).as_deref(), Some("0"));
    }
}
