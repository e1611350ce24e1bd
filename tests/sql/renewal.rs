//! A hash of another kind or cost than is set is replaced on the first good check.

use apikey_tests::{Database, one, wrong_secret};
use postgres::Client;

const COST: &str = "SELECT split_part(verifier, '$', 4) FROM apikey.key";
const SET_COST: &str = "m=1024,t=1,p=1";

/// A key that was hashed at twice the cost that is set.
fn costly_key(database: &Database) -> String {
    let mut client = database.superuser();
    client.batch_execute("SET apikey.argon2_memory = '2MB'").unwrap();
    let key = one(&mut client, "SELECT apikey_create('till', 'event')").unwrap();
    assert_eq!(one(&mut client, COST).as_deref(), Some("m=2048,t=1,p=1"));
    key
}

fn check(client: &mut Client, key: &str) -> bool {
    one(client, &format!("SELECT apikey_check('{key}', NULL)")).is_some()
}

#[test]
fn a_good_check_renews_and_the_key_goes_on() {
    let database = Database::new();
    let mut client = database.superuser();
    let key = costly_key(&database);
    let wrong = wrong_secret(&key);
    assert!(!check(&mut client, &wrong));
    assert_eq!(one(&mut client, COST).as_deref(), Some("m=2048,t=1,p=1"), "by a wrong secret");
    assert!(check(&mut client, &key));
    assert_eq!(one(&mut client, COST).as_deref(), Some(SET_COST));
    assert!(check(&mut client, &key) && !check(&mut client, &wrong));
    let trail = "SELECT string_agg(action || ' ' || (changed -> 'verifier')::text, ', ' ORDER BY at) FROM apikey_events WHERE action = 'change'";
    assert_eq!(
        one(&mut client, trail).as_deref(),
        Some(r#"change {"to": "argon2id", "from": "argon2id"}"#)
    );
}

/// By a role that may check and nothing else.
#[test]
fn a_checker_renews_too() {
    let mut database = Database::new();
    let key = costly_key(&database);
    let checker = database.checker();
    assert!(check(&mut database.connect(&checker), &key));
    assert_eq!(one(&mut database.superuser(), COST).as_deref(), Some(SET_COST));
}

#[test]
fn where_it_cannot_write_it_just_works() {
    let database = Database::new();
    let mut client = database.superuser();
    let key = costly_key(&database);
    for isolation in
        ["READ ONLY", "ISOLATION LEVEL REPEATABLE READ", "ISOLATION LEVEL SERIALIZABLE"]
    {
        client.batch_execute(&format!("BEGIN {isolation}")).unwrap();
        assert!(check(&mut client, &key), "{isolation}");
        assert_eq!(
            one(&mut client, "SELECT pg_current_xact_id_if_assigned()"),
            None,
            "{isolation}"
        );
        client.batch_execute("COMMIT").unwrap();
    }
    assert_eq!(one(&mut client, COST).as_deref(), Some("m=2048,t=1,p=1"));
}

/// A check waits for nobody: a row that is held is renewed another time.
#[test]
fn a_row_that_is_held_is_left_alone() {
    let database = Database::new();
    let (mut holding, mut client) = (database.superuser(), database.superuser());
    let key = costly_key(&database);
    let mut transaction = holding.transaction().unwrap();
    transaction.batch_execute("UPDATE apikey.key SET revoked_at = now()").unwrap();
    client.batch_execute("SET lock_timeout = '1ms'").unwrap();
    assert!(check(&mut client, &key), "the revocation is not committed");
    transaction.commit().unwrap();
    assert!(!check(&mut client, &key));
    assert_eq!(one(&mut client, COST).as_deref(), Some("m=2048,t=1,p=1"));
}

#[test]
fn a_key_that_is_not_valid_is_not_renewed() {
    let database = Database::new();
    let mut client = database.superuser();
    let key = costly_key(&database);
    client.batch_execute("UPDATE apikey.key SET disabled_at = now()").unwrap();
    assert!(!check(&mut client, &key));
    assert_eq!(one(&mut client, COST).as_deref(), Some("m=2048,t=1,p=1"));
}
