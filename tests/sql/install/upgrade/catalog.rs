//! What the catalog says about the extension, as text, so that two databases can be compared.

use apikey_tests::Database;
use postgres::{Client, SimpleQueryMessage};
use std::collections::BTreeSet;

/// The extension's part of the catalog, as text.
pub fn catalog(client: &mut Client) -> Vec<String> {
    let lines = client.simple_query(include_str!("catalog.sql")).unwrap();
    lines
        .iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        })
        .collect()
}

/// What stands on one side alone: `-` is the expected side, `+` the actual one.
pub fn differences(expected: &[String], actual: &[String]) -> Vec<String> {
    let (old, new) = (expected.iter().collect::<BTreeSet<_>>(), actual.iter().collect());
    let gone = old.difference(&new).map(|line| format!("- {line}"));
    let come = new.difference(&old).map(|line| format!("+ {line}"));
    gone.chain(come).collect()
}

/// The comparison sees each kind of difference.
#[test]
fn a_difference_in_the_catalog_is_reported() {
    let database = Database::new();
    let mut client = database.superuser();
    let before = catalog(&mut client);
    for (change, reported) in [
        ("ALTER TABLE apikey.key ALTER tenant DROP DEFAULT", "tenant text"),
        ("ALTER TABLE apikey.key ALTER owner DROP NOT NULL", "owner text"),
        (
            "ALTER TABLE apikey.scope ALTER description TYPE text COLLATE \"C\"",
            "description text collation \"C\"",
        ),
        ("ALTER TABLE apikey.key DROP CONSTRAINT tenant_shape", "- constraint tenant_shape"),
        ("ALTER TABLE apikey.event ENABLE TRIGGER events_are_kept", "enabled O"),
        ("ALTER TABLE apikey.scope ENABLE ROW LEVEL SECURITY", "rls t"),
        ("CREATE INDEX ON apikey.event (action)", "+ index CREATE INDEX event_action_idx"),
        (
            "ALTER FUNCTION apikey_revoke STABLE",
            "+ function apikey_revoke(text,text) line 004: STABLE",
        ),
        ("ALTER FUNCTION apikey_revoke OWNER TO pg_monitor", "owner pg_monitor"),
        ("GRANT EXECUTE ON FUNCTION apikey_revoke TO PUBLIC", "{=X/postgres,postgres=X/postgres}"),
        ("GRANT SELECT (name) ON apikey.key TO pg_monitor", "pg_monitor=r"),
        ("GRANT USAGE ON SCHEMA apikey TO pg_monitor", "pg_monitor=U"),
        ("REVOKE ALL ON TYPE apikey_decision FROM postgres", "+ type apikey_decision owner"),
        ("ALTER VIEW apikeys ALTER status SET DEFAULT 'x'", "default 'x'"),
        (
            "COMMENT ON COLUMN apikey.key.name IS 'x'",
            "+ comment on column name of table apikey.key: x",
        ),
        (
            "COMMENT ON TRIGGER record_event ON apikey.key IS NULL",
            "- comment on trigger record_event",
        ),
        (
            "UPDATE pg_extension SET extcondition[2] = 'WHERE false'",
            "+ dumped apikey.scope where 'WHERE false'",
        ),
        (
            "ALTER EXTENSION apikey DROP FUNCTION apikey_enable(text)",
            "- member function apikey_enable(text)",
        ),
    ] {
        client
            .batch_execute(&format!("BEGIN; {change}"))
            .unwrap_or_else(|error| panic!("{change}: {error:?}"));
        let found = differences(&before, &catalog(&mut client)).join("\n");
        assert!(found.contains(reported), "{change}: {reported} is not in\n{found}");
        client.batch_execute("ROLLBACK").unwrap();
    }
}
