//! A hash of another kind or cost than is set is replaced on the first good check.

use apikey_tests::{Database, one, wrong_secret};
use postgres::Client;
use postgres::error::SqlState;

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

/// What makes each change of a key fail.
fn failing_with(condition: &str) -> String {
    format!(
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN RAISE 'as a test has it' USING ERRCODE = '{condition}'; END $$;
         CREATE TRIGGER failing BEFORE UPDATE ON apikey.key FOR EACH ROW EXECUTE FUNCTION fail()"
    )
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

/// A trigger fails as a full disk does, in a transaction that goes on, inside a block that catches errors of its own.
#[test]
fn a_hash_that_finds_no_room_costs_nobody_a_key() {
    let mut database = Database::new();
    let mut superuser = database.superuser();
    let key = costly_key(&database);
    superuser.batch_execute(&failing_with("disk_full")).unwrap();
    let checker = database.checker();
    let mut client = database.connect(&checker);
    let mut transaction = client.transaction().unwrap();
    let in_block = "CREATE TEMPORARY TABLE before ();
        SET search_path = pg_temp, public;
        DO $$
        BEGIN
            CREATE TEMPORARY TABLE inside ();
            FOR n IN 1..3 LOOP
                ASSERT apikey_check('{key}', NULL) IS NOT NULL;
                ASSERT current_user = session_user;
                ASSERT current_setting('search_path') = 'pg_temp, public';
            END LOOP;
            RAISE division_by_zero;
        EXCEPTION WHEN division_by_zero THEN
            ASSERT to_regclass('pg_temp.inside') IS NULL;
        END $$";
    transaction.batch_execute(&in_block.replace("{key}", &key)).unwrap();
    transaction.commit().unwrap();
    assert!(check(&mut client, &key));
    assert_eq!(one(&mut client, "SELECT count(*) FROM before").as_deref(), Some("0"));
    assert_eq!(one(&mut superuser, COST).as_deref(), Some("m=2048,t=1,p=1"));
    let log = database.cluster.log();
    let why = format!("the new hash of API key {} is not stored: as a test has it", &key[..8]);
    assert!(log.contains(&why) && !log.contains(&key), "{log}");

    superuser.batch_execute("DROP TRIGGER failing ON apikey.key").unwrap();
    assert!(check(&mut client, &key));
    assert_eq!(one(&mut superuser, COST).as_deref(), Some(SET_COST));
}

/// Somebody's trigger may have a reason.
#[test]
fn any_other_error_of_a_renewal_is_an_error() {
    let database = Database::new();
    let mut client = database.superuser();
    let key = costly_key(&database);
    client.batch_execute(&failing_with("insufficient_privilege")).unwrap();
    let check = format!("SELECT apikey_check('{key}', NULL)");
    let error = client.simple_query(&check).unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE));
    // It is undone to where a block of the caller's begins, and no further.
    let in_block = "DO $$
        BEGIN
            CREATE TABLE before ();
            BEGIN
                PERFORM apikey_check('{key}', NULL);
            EXCEPTION WHEN insufficient_privilege THEN
                ASSERT to_regclass('before') IS NOT NULL;
                RETURN;
            END;
            RAISE 'no error';
        END $$";
    client.batch_execute(&in_block.replace("{key}", &key)).unwrap();
    assert_eq!(one(&mut client, "SELECT to_regclass('before')::text").as_deref(), Some("before"));
}
