//! `apikey_authorize` and `apikey_explain`: the decision, and for managers its reason.

use apikey_tests::{Database, PUBLISHED_KEY, one, wrong_secret};
use postgres::Client;

fn decision(client: &mut Client, arguments: &str) -> String {
    let columns = "allowed || ' ' || reason || coalesce(' ' || name, '')";
    one(client, &format!("SELECT {columns} FROM apikey_authorize({arguments})")).unwrap()
}

#[test]
fn the_decision_and_its_reason() {
    let database = Database::new();
    let mut client = database.superuser();
    let create = |client: &mut Client, arguments: &str| {
        one(client, &format!("SELECT apikey_create({arguments})")).unwrap()
    };
    let open = create(&mut client, "'open', '{\"event\":true,\"ticket\":false}'::jsonb");
    let bound = create(&mut client, "'bound', 'event', '10.0.0.1'");
    let gone = create(&mut client, "'gone', 'event'");
    one(&mut client, &format!("SELECT apikey_revoke('{gone}')"));
    for (arguments, expected) in [
        (format!("'{open}', NULL"), "true ok open"),
        (format!("'{open}', NULL, 'event'"), "true ok open"),
        (format!("'{open}', NULL, 'ticket'"), "false missing_scope open"),
        (format!("'{open}', NULL, 'even'"), "false missing_scope open"),
        (format!("'{open}', NULL, ''"), "false missing_scope open"),
        (format!("'{bound}', '10.0.0.1', 'event'"), "true ok bound"),
        (format!("'{bound}', '10.0.0.2', 'event'"), "false wrong_address bound"),
        (format!("'{bound}', NULL"), "false wrong_address bound"),
        (format!("'{gone}', NULL"), "false invalid_key"),
        (format!("'{PUBLISHED_KEY}', NULL"), "false invalid_key"),
        (format!("'{}', NULL", wrong_secret(&open)), "false invalid_key"),
        ("'', NULL".to_owned(), "false invalid_key"),
        ("NULL, NULL".to_owned(), "false invalid_key"),
    ] {
        assert_eq!(decision(&mut client, &arguments), expected, "{arguments}");
    }
}

#[test]
fn the_decision_says_who_the_caller_is() {
    let database = Database::new();
    let mut client = database.superuser();
    let key = one(
        &mut client,
        "SELECT apikey_create('till', '[\"event\"]'::jsonb, owner => 'ada', tenant => 'venue', metadata => '{\"till\": 3}')",
    )
    .unwrap();
    let row = one(
        &mut client,
        &format!("SELECT d::text FROM apikey_authorize('{key}', NULL, 'event', 'venue') AS d"),
    );
    let expected =
        format!(r#"(t,ok,{},till,ada,"[""event""]","{{""till"": 3}}",venue)"#, &key[..8]);
    assert_eq!(row.unwrap(), expected);
    let row =
        one(&mut client, &format!("SELECT d::text FROM apikey_authorize('{key}x', NULL) AS d"));
    assert_eq!(row.unwrap(), "(f,invalid_key,,,,,,)");
}

#[test]
fn a_key_of_one_tenant_does_not_pass_for_anothers() {
    let database = Database::new();
    let mut client = database.superuser();
    let venue = database.key("'event', tenant => 'venue'");
    let none = database.key("'event'");
    for (key, tenant, valid) in [
        (&venue, "'venue'", true),
        (&venue, "'other'", false),
        (&venue, "'VENUE'", false),
        (&venue, "''", false),
        (&venue, "NULL", false),
        (&none, "''", true),
        (&none, "NULL", true),
        (&none, "'venue'", false),
    ] {
        let check = one(&mut client, &format!("SELECT apikey_check('{key}', NULL, {tenant})"));
        assert_eq!(check.is_some(), valid, "{tenant}");
        let reason = if valid { "true ok" } else { "false invalid_key" };
        assert!(
            decision(&mut client, &format!("'{key}', NULL, NULL, {tenant}")).starts_with(reason),
            "{tenant}"
        );
        let login = one(&mut client, &format!("SELECT apikey_login('{key}', NULL, {tenant})"));
        assert_eq!(login.as_deref(), Some(if valid { "t" } else { "f" }), "{tenant}");
    }
    assert_eq!(one(&mut client, &format!("SELECT apikey_check('{venue}', NULL)")), None);
    assert!(one(&mut client, &format!("SELECT apikey_check('{none}', NULL)")).is_some());
}

#[test]
fn a_manager_is_told_exactly_why() {
    let database = Database::new();
    let mut client = database.superuser();
    let explain = |client: &mut Client, arguments: &str| {
        one(client, &format!("SELECT apikey_explain({arguments})")).unwrap()
    };
    let key = database.key("'event', '10.0.0.1'");
    let prefix = &key[..8];
    let wrong = wrong_secret(&key);
    for (arguments, expected) in [
        (format!("'{key}', '10.0.0.1'"), "accepted".to_owned()),
        (format!("'{key} ', '10.0.0.1'"), "refused: malformed".to_owned()),
        ("NULL, NULL".to_owned(), "refused: malformed".to_owned()),
        (
            format!("'{PUBLISHED_KEY}', NULL"),
            "refused: unknown prefix. There is no key Map0K71T".to_owned(),
        ),
        (
            format!("'{wrong}', '10.0.0.1'"),
            format!("refused: wrong secret. There is a key {prefix}"),
        ),
        (format!("'{key}', '10.0.0.1', 'venue'"), "refused: wrong tenant".to_owned()),
        (
            format!("'{key}', '10.0.0.2'"),
            "refused: wrong address. 10.0.0.2 is in none of 10.0.0.1".to_owned(),
        ),
        (
            format!("'{key}', NULL"),
            "refused: wrong address. An unknown address is in none of".to_owned(),
        ),
    ] {
        let explained = explain(&mut client, &arguments);
        assert!(explained.starts_with(&expected), "{arguments}: {explained}");
        assert!(!explained.contains(&key[9..]), "{explained}");
    }
    for (change, expected) in [
        ("disabled_at = now()", "refused: disabled at "),
        ("expires_at = created_at", "refused: expired at "),
        ("revoked_at = now(), revoke_reason = 'lost'", "refused: revoked at "),
    ] {
        client.batch_execute(&format!("UPDATE apikey.key SET {change}")).unwrap();
        let explained = explain(&mut client, &format!("'{key}', '10.0.0.1'"));
        assert!(explained.starts_with(expected), "{explained}");
    }
    assert!(explain(&mut client, &format!("'{key}', NULL")).ends_with("by postgres: lost"));
}
