//! The audit trail.

use apikey_tests::{Database, one, refused};
use postgres::Client;

fn actions(client: &mut Client) -> String {
    one(client, "SELECT string_agg(action, ' ' ORDER BY at) FROM apikey_events").unwrap_or_default()
}

#[test]
fn functions_and_plain_sql_leave_the_same_trail() {
    let database = Database::new();
    let mut client = database.superuser();
    let key = database.key("'event'");
    let prefix = &key[..8];
    client
        .batch_execute(&format!(
            "SELECT apikey_disable('{key}'); SELECT apikey_enable('{key}'); SELECT apikey_rotate('{key}', '1 day');
             SELECT apikey_revoke('{key}')"
        ))
        .unwrap();
    assert_eq!(actions(&mut client), "create disable enable rotate create revoke");
    client.batch_execute(&format!("DELETE FROM apikey.key WHERE prefix <> '{prefix}'")).unwrap();
    client
        .batch_execute(&format!(
            "INSERT INTO apikey.key (prefix, verifier, name, auth) SELECT 'Another1', verifier, 'other', auth FROM apikey.key;
             UPDATE apikey.key SET disabled_at = now() WHERE prefix = 'Another1';
             UPDATE apikey.key SET disabled_at = NULL WHERE prefix = 'Another1';
             UPDATE apikey.key SET auth = '[\"ticket\"]' WHERE prefix = 'Another1';
             UPDATE apikey.key SET auth = '[\"ticket\"]' WHERE prefix = 'Another1';
             UPDATE apikey.key SET replaced_by = '{prefix}' WHERE prefix = 'Another1';
             UPDATE apikey.key SET revoked_at = now() WHERE prefix = 'Another1';
             INSERT INTO apikey.key (prefix, verifier, name, auth, created_at)
             SELECT 'Another2', verifier, 'older', auth, '2020-01-01' FROM apikey.key WHERE prefix = 'Another1'"
        ))
        .unwrap();
    assert_eq!(
        actions(&mut client),
        "create disable enable rotate create revoke delete create disable enable change rotate revoke import"
    );
}

#[test]
fn an_event_says_what_changed_and_never_a_verifier() {
    let database = Database::new();
    let mut client = database.superuser();
    let key = database.key("'event', ips => '{10.0.0.1}'");
    let other = database.key("'event'");
    client
        .batch_execute(&format!(
            "UPDATE apikey.key AS k SET name = 'renamed', allowed_ips = NULL, verifier = o.verifier
               FROM apikey.key AS o WHERE k.prefix = '{}' AND o.prefix = '{}'",
            &key[..8],
            &other[..8]
        ))
        .unwrap();
    let changed =
        one(&mut client, "SELECT changed - 'name' FROM apikey_events WHERE action = 'change'")
            .unwrap();
    assert_eq!(
        changed,
        r#"{"verifier": {"to": "argon2id", "from": "argon2id"}, "allowed_ips": {"to": null, "from": ["10.0.0.1"]}}"#
    );
    let all = one(&mut client, "SELECT string_agg(e::text, ' ') FROM apikey.event AS e").unwrap();
    assert!(
        all.contains(&key[..8]) && !all.contains("$v=19$") && !all.contains(&key[9..]),
        "{all}"
    );
}

#[test]
fn an_event_says_who() {
    let mut database = Database::new();
    let group = database.login("group", "");
    let member = database.login("member", &format!("IN ROLE {}", group.role));
    let mut superuser = database.superuser();
    for function in [
        "apikey_create(text, text, inet, inet[], text, timestamptz, text, jsonb)",
        "apikey_disable",
    ] {
        superuser
            .batch_execute(&format!("GRANT EXECUTE ON FUNCTION {function} TO {}", group.role))
            .unwrap();
    }
    let mut client = database.connect(&member);
    client.batch_execute("SET application_name = 'a till'").unwrap();
    let key = one(&mut client, "SELECT apikey_create('till', 'event')").unwrap();
    client
        .batch_execute(&format!("SET ROLE {}; SELECT apikey_disable('{key}')", group.role))
        .unwrap();
    let who = "SELECT string_agg(concat_ws(' ', action, session_role, acting_role, host(client_address), application_name), ', ' ORDER BY at)
                 FROM apikey_events";
    assert_eq!(
        one(&mut superuser, who).unwrap(),
        format!(
            "create {0} {0} 127.0.0.1 a till, disable {0} {1} 127.0.0.1 a till",
            member.role, group.role
        )
    );
}

#[test]
fn nobody_changes_what_was_noted() {
    let database = Database::new();
    let mut client = database.superuser();
    database.key("'event'");
    for role in ["origin", "replica"] {
        client.batch_execute(&format!("SET session_replication_role = {role}")).unwrap();
        for statement in [
            "UPDATE apikey.event SET session_role = 'somebody else'",
            "DELETE FROM apikey.event",
            "TRUNCATE apikey.event",
            "TRUNCATE apikey.key",
        ] {
            let refusal = refused(client.batch_execute(statement));
            assert_eq!(refusal.sqlstate(), "55000", "{statement}");
            assert!(!refusal.hint().is_empty(), "{statement}");
        }
    }
    assert_eq!(actions(&mut client), "create");
}

#[test]
fn what_is_rolled_back_leaves_no_trace() {
    let database = Database::new();
    let mut client = database.superuser();
    client.batch_execute("BEGIN; SELECT apikey_create('till', 'event'); ROLLBACK").unwrap();
    assert_eq!(actions(&mut client), "");
}

#[test]
fn old_events_can_be_pruned() {
    let database = Database::new();
    let mut client = database.superuser();
    database.key("'event'");
    client
        .batch_execute(
            "INSERT INTO apikey.event (at, action, prefix, changed)
             SELECT now() - make_interval(days => days), 'change', 'Map0K71T', '{}' FROM unnest('{10,40,400}'::int[]) AS days",
        )
        .unwrap();
    for keep in ["'29 days'", "'-1 year'", "'-170000000 years'", "NULL"] {
        let refusal = refused(client.batch_execute(&format!("SELECT apikey_prune_events({keep})")));
        assert_eq!(refusal.sqlstate(), "22023", "{keep}");
    }
    for keep in ["6001 years", "170000000 years"] {
        let prune = format!("SELECT apikey_prune_events('{keep}')");
        assert_eq!(one(&mut client, &prune).as_deref(), Some("0"), "{keep}");
    }
    assert_eq!(one(&mut client, "SELECT apikey_prune_events('1 year')").as_deref(), Some("1"));
    assert_eq!(one(&mut client, "SELECT apikey_prune_events('30 days')").as_deref(), Some("1"));
    assert_eq!(one(&mut client, "SELECT count(*) FROM apikey_events").as_deref(), Some("2"));
}
