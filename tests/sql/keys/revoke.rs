//! `apikey_revoke`, and revocation by a plain UPDATE.

use apikey_tests::{Database, one, refused};

#[test]
fn by_prefix_by_key_and_as_pasted() {
    let database = Database::new();
    let mut client = database.superuser();
    let pasted = |key: &str| format!("E' {key}\\r\\n'");
    for argument in [|key: &str| format!("'{}'", &key[..8]), |key: &str| format!("'{key}'"), pasted]
    {
        let key = database.key("'event'");
        let revoke = format!("SELECT apikey_revoke({})", argument(&key));
        assert_eq!(one(&mut client, &revoke).as_deref(), Some("t"), "{revoke}");
        assert_eq!(one(&mut client, &format!("SELECT apikey_check('{key}', NULL)")), None);
        assert_eq!(one(&mut client, &revoke).as_deref(), Some("f"), "{revoke}");
    }
}

#[test]
fn it_is_noted_when_by_whom_and_why() {
    let mut database = Database::new();
    let manager = database.login("manager", "");
    database
        .superuser()
        .batch_execute(&format!("GRANT EXECUTE ON FUNCTION apikey_revoke TO {}", manager.role))
        .unwrap();
    let key = database.key("'event'");
    one(&mut database.connect(&manager), &format!("SELECT apikey_revoke('{key}', ' leaked ')"));
    let row = one(
        &mut database.superuser(),
        "SELECT (status, revoked_by, revoke_reason, revoked_at > created_at)::text FROM apikeys",
    );
    assert_eq!(row.unwrap(), format!("(revoked,{},leaked,t)", manager.role));
}

#[test]
fn an_unknown_key_is_an_error_that_does_not_repeat_it() {
    let database = Database::new();
    let mut client = database.superuser();
    for argument in [
        "'Map0K71T.rcs82Q66NuCUCuyTmnjVhmwhfl0VnOsW'",
        "'rcs82Q66NuCUCuyTmnjVhmwhfl0VnOsW'",
        "''",
        "NULL",
    ] {
        let refusal = refused(client.batch_execute(&format!("SELECT apikey_revoke({argument})")));
        assert_eq!(refusal.sqlstate(), "42704");
        assert!(refusal.hint().contains("prefix"), "{}", refusal.hint());
        assert!(!refusal.whole().contains("rcs82Q"), "{}", refusal.whole());
    }
}

#[test]
fn nobody_undoes_a_revocation() {
    let database = Database::new();
    let mut client = database.superuser();
    let key = database.key("'event'");
    one(&mut client, &format!("SELECT apikey_revoke('{key}')"));
    client.batch_execute("SET session_replication_role = replica").unwrap();
    for role in ["origin", "replica", "local"] {
        client.batch_execute(&format!("SET session_replication_role = {role}")).unwrap();
        for change in [
            "revoked_at = NULL, revoked_by = NULL",
            "revoked_at = '2100-01-01'",
            "revoked_by = 'x'",
        ] {
            let refusal = refused(client.batch_execute(&format!("UPDATE apikey.key SET {change}")));
            assert_eq!(refusal.sqlstate(), "55000");
            assert!(refusal.message().contains("stays so"), "{}", refusal.message());
            assert!(!refusal.hint().is_empty());
        }
    }
    // What does not touch the revocation may be mended.
    client
        .batch_execute("UPDATE apikey.key SET revoke_reason = 'lost', name = 'old till'")
        .unwrap();
    assert_eq!(one(&mut client, &format!("SELECT apikey_check('{key}', NULL)")), None);
}

#[test]
fn a_plain_update_revokes_and_is_stamped() {
    let database = Database::new();
    let mut client = database.superuser();
    let key = database.key("'event'");
    client
        .batch_execute("UPDATE apikey.key SET revoked_at = now(), revoked_by = 'nobody'")
        .unwrap();
    assert_eq!(one(&mut client, "SELECT revoked_by FROM apikeys").as_deref(), Some("postgres"));
    assert_eq!(one(&mut client, &format!("SELECT apikey_check('{key}', NULL)")), None);
}

/// `now()` of the revoking transaction is older than the key.
#[test]
fn the_clock_refuses_no_revocation() {
    let database = Database::new();
    let mut revoking = database.superuser();
    let mut transaction = revoking.transaction().unwrap();
    transaction.batch_execute("SELECT 1").unwrap();
    let key = database.key("'event'");
    transaction.batch_execute("UPDATE apikey.key SET revoked_at = now()").unwrap();
    transaction.commit().unwrap();
    let mut client = database.superuser();
    assert_eq!(one(&mut client, &format!("SELECT apikey_check('{key}', NULL)")), None);
    assert_eq!(
        one(&mut client, "SELECT revoked_at = created_at FROM apikeys").as_deref(),
        Some("t")
    );
}
