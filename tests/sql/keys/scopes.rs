//! Scopes that a DBA pins down.

use apikey_tests::{Database, one, refused};

#[test]
fn where_scopes_are_known_a_typo_is_an_error() {
    let database = Database::new();
    let mut client = database.superuser();
    database.key("'anything-goes'");
    client
        .batch_execute(
            "INSERT INTO apikey.scope VALUES ('event', 'see events'), ('ticket', 'sell tickets')",
        )
        .unwrap();
    for known in
        ["'event'", "'[\"event\",\"ticket\"]'::jsonb", "'{\"event\":true,\"ticket\":false}'::jsonb"]
    {
        database.key(known);
    }
    for unknown in
        ["'evnt'", "'[\"event\",\"evnt\"]'::jsonb", "'{\"event\":true,\"evnt\":false}'::jsonb"]
    {
        let refusal =
            refused(client.batch_execute(&format!("SELECT apikey_create('n', {unknown})")));
        assert_eq!(refusal.sqlstate(), "22023");
        assert_eq!(refusal.message(), "auth names a scope that is not known: 'evnt'");
        assert!(refusal.hint().starts_with("Known are event, ticket."), "{}", refusal.hint());
    }
    let refusal = refused(client.batch_execute("UPDATE apikey.key SET auth = '\"evnt\"'"));
    assert_eq!(refusal.sqlstate(), "22023");
    // A key that was there before may be changed in other ways, and is valid.
    client.batch_execute("UPDATE apikey.key SET expires_at = '2100-01-01'").unwrap();
    client.batch_execute("DELETE FROM apikey.scope").unwrap();
    database.key("'anything-goes'");
    assert_eq!(one(&mut client, "SELECT count(*) FROM apikeys").as_deref(), Some("5"));
}

#[test]
fn a_scope_has_a_name_and_a_description() {
    let database = Database::new();
    let mut client = database.superuser();
    for values in ["'an event', 'x'", "'', 'x'", "'event', ' '", "'event', NULL"] {
        let refusal =
            refused(client.batch_execute(&format!("INSERT INTO apikey.scope VALUES ({values})")));
        assert!(["23514", "23502"].contains(&refusal.sqlstate()), "{values}");
    }
}

/// The table has no such row, but whoever may call the function may call it with anything.
#[test]
fn what_is_no_auth_is_an_error_that_says_so() {
    let database = Database::new();
    let mut client = database.superuser();
    for auth in ["1", "null", "[1]", "{\"event\":1}", "[[\"event\"]]"] {
        let refusal =
            refused(client.batch_execute(&format!("SELECT apikey.grants('{auth}', 'event')")));
        assert_eq!(refusal.sqlstate(), "22023", "{auth}: {}", refusal.message());
        assert!(!refusal.hint().is_empty(), "{auth}");
    }
}
