//! `apikey_create`.

use apikey_tests::{Database, Refusal, one, refused};
use postgres::Client;

#[test]
fn the_published_example_works_as_it_is() {
    let database = Database::new();
    let mut client = database.superuser();
    let key = one(&mut client, "SELECT apikey_create('cashless', 'event', '12.34.56.78')").unwrap();
    assert_eq!(
        one(&mut client, &format!("SELECT apikey_check('{key}', '12.34.56.78')")).as_deref(),
        Some(r#"{"auth":"event","ip_request":"12.34.56.78","ip_valid":true}"#)
    );
}

#[test]
fn a_key_has_the_promised_shape_and_its_row_says_the_rest() {
    let database = Database::new();
    let mut client = database.superuser();
    let key = one(
        &mut client,
        "SELECT apikey_create('till', '{\"event\":true}'::jsonb, ips => '{10.0.0.0/8,2001:db8::/32}',
                              owner => 'ada@example.org', expires_at => '2100-01-01')",
    )
    .unwrap();
    assert_eq!(
        one(
            &mut client,
            &format!("SELECT '{key}' ~ '^[A-Z][A-Za-z0-9]{{7}}\\.[A-Za-z0-9]{{32}}$'")
        )
        .as_deref(),
        Some("t")
    );
    let row = one(
        &mut client,
        "SELECT (prefix, name, owner, status, auth, allowed_ips, created_by, expires_at AT TIME ZONE 'UTC',
                 created_at = now() OR created_at < now(), revoked_at IS NULL)::text FROM apikeys",
    );
    let prefix = &key[..8];
    assert_eq!(
        row.unwrap(),
        format!(
            r#"({prefix},till,ada@example.org,active,"{{""event"": true}}","{{10.0.0.0/8,2001:db8::/32}}",postgres,"2100-01-01 00:00:00",t,t)"#
        )
    );
}

#[test]
fn auth_comes_back_in_the_shape_that_it_was_given_in() {
    let database = Database::new();
    for (given, shown) in [
        ("'event'", r#""event""#),
        (r#"'"event"'::jsonb"#, r#""event""#),
        (r#"'["event","ticket"]'::jsonb"#, r#"["event","ticket"]"#),
        ("ARRAY['event','ticket']", r#"["event","ticket"]"#),
        ("ARRAY['event'::varchar]", r#"["event"]"#),
        ("'{event,ticket}'::text[]", r#"["event","ticket"]"#),
        (r#"'{"event":true,"ticket":false}'::jsonb"#, r#"{"event":true,"ticket":false}"#),
    ] {
        let key = database.key(given);
        let answer = one(&mut database.superuser(), &format!("SELECT apikey_check('{key}', NULL)"));
        assert_eq!(
            answer.unwrap(),
            format!(r#"{{"auth":{shown},"ip_request":null,"ip_valid":true}}"#)
        );
    }
}

#[test]
fn what_a_dba_gets_wrong_is_refused_with_a_hint() {
    let database = Database::new();
    let mut client = database.superuser();
    one(&mut client, "SELECT apikey_create('taken', 'event')");
    for (arguments, sqlstate, message) in [
        ("'', 'event'", "23514", "name_not_blank"),
        ("E' \\t\\n', 'event'", "23514", "name_not_blank"),
        ("repeat('n', 201), 'event'", "23514", "name_not_blank"),
        ("NULL, 'event'", "22004", "name is NULL"),
        ("'n', 'event', owner => ' '", "23514", "owner_not_blank"),
        ("'n', NULL::text", "22004", "auth is NULL"),
        ("'n', NULL::jsonb", "22004", "auth is NULL"),
        ("'n', NULL::text[]", "22004", "auth is NULL"),
        // As it was: text that stands alone is a level.
        ("'n', NULL", "22004", "auth is NULL"),
        ("'n', '{event}'", "23514", "auth_shape"),
        ("'n', '{}'::text[]", "23514", "auth_shape"),
        ("'n', ARRAY['event', NULL]", "23514", "auth_shape"),
        ("'n', ARRAY[['event']]", "23514", "auth_shape"),
        ("'n', ''", "23514", "auth_shape"),
        ("'n', 'to be or'", "23514", "auth_shape"),
        ("'n', '[\"event\"]'", "23514", "auth_shape"),
        ("'n', '[]'::jsonb", "23514", "auth_shape"),
        ("'n', '{}'::jsonb", "23514", "auth_shape"),
        ("'n', '{\"event\":1}'::jsonb", "23514", "auth_shape"),
        ("'n', 'null'::jsonb", "23514", "auth_shape"),
        ("'n', (repeat('[', 5000) || repeat(']', 5000))::jsonb", "23514", "auth_shape"),
        ("'n', 'event', ips => '{}'", "23514", "allowed_ips_not_empty"),
        ("'n', 'event', ips => '{NULL}'", "23514", "allowed_ips_not_empty"),
        ("'n', 'event', ips => '{{10.0.0.1}}'", "23514", "allowed_ips_not_empty"),
        ("'n', 'event', '10.0.0.1', ips => '{10.0.0.1}'", "22023", "both ip and ips"),
        ("'n', 'event', tenant => ' '", "23514", "tenant_shape"),
        ("'n', 'event', metadata => '[]'", "23514", "metadata_is_object"),
        ("'n', 'event', expires_at => '2020-01-01'", "23514", "expires_after_creation"),
        ("'taken', 'event'", "23505", "'postgres' already has a live key named 'taken'"),
    ] {
        let refusal = refused(client.batch_execute(&format!("SELECT apikey_create({arguments})")));
        assert_eq!(refusal.sqlstate(), sqlstate, "{arguments}: {}", refusal.message());
        assert!(refusal.message().starts_with("no API key was created"), "{}", refusal.message());
        assert!(refusal.message().contains(message), "{arguments}: {}", refusal.message());
        assert!(refusal.hint().ends_with(['.', '-']), "{arguments}: {:?}", refusal.hint());
        assert_no_verifier(&refusal);
    }
    assert_eq!(one(&mut client, "SELECT count(*) FROM apikeys").as_deref(), Some("1"));
}

#[test]
fn a_name_is_free_for_another_owner_and_after_revocation() {
    let database = Database::new();
    let mut client = database.superuser();
    let key = one(&mut client, "SELECT apikey_create('till', 'event')").unwrap();
    one(&mut client, "SELECT apikey_create('till', 'event', owner => 'somebody else')");
    one(&mut client, "SELECT apikey_create('till', 'event', tenant => 'another venue')");
    one(&mut client, &format!("SELECT apikey_revoke('{key}')"));
    one(&mut client, "SELECT apikey_create('till', 'event')");
}

/// A trigger takes the prefix that was drawn, `times` times, just before it is inserted.
fn steal_prefixes(client: &mut Client, times: u32) {
    client
        .batch_execute(&format!(
            "CREATE SEQUENCE stolen;
             CREATE FUNCTION steal() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN
                 IF NEW.owner <> 'thief' AND nextval('public.stolen') <= {times} THEN
                     INSERT INTO apikey.key (prefix, verifier, name, owner, auth)
                     VALUES (NEW.prefix, NEW.verifier, NEW.prefix, 'thief', NEW.auth);
                 END IF;
                 RETURN NEW;
             END $$;
             CREATE TRIGGER steal BEFORE INSERT ON apikey.key FOR EACH ROW EXECUTE FUNCTION steal()"
        ))
        .unwrap();
}

#[test]
fn a_clash_of_prefixes_is_retried() {
    let database = Database::new();
    let mut client = database.superuser();
    steal_prefixes(&mut client, 2);
    let key = one(&mut client, "SELECT apikey_create('till', 'event')").unwrap();
    assert_eq!(one(&mut client, "SELECT last_value FROM stolen").as_deref(), Some("3"));
    assert!(one(&mut client, &format!("SELECT apikey_check('{key}', NULL)")).is_some());
}

#[test]
fn endless_clashes_end_in_an_error() {
    let database = Database::new();
    let mut client = database.superuser();
    steal_prefixes(&mut client, 1000);
    let refusal = refused(client.batch_execute("SELECT apikey_create('till', 'event')"));
    assert_eq!(refusal.sqlstate(), "23505");
    assert!(refusal.message().contains("every prefix that was drawn is taken"));
    assert!(!refusal.hint().is_empty());
}

fn assert_no_verifier(refusal: &Refusal) {
    assert!(!refusal.whole().contains("argon2id$"), "{}", refusal.whole());
}
