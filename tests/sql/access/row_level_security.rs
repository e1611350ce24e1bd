//! A key as the identity of a transaction: policies that ask for it, and how long it lasts.

use crate::keys::shop::{ADAS, BOBS, NOBODYS, Shop, login, seen, seen_outside};
use apikey_tests::{one, refused};

#[test]
fn a_key_sees_the_rows_of_its_owner() {
    let shop = Shop::new();
    let mut client = shop.connect();
    assert_eq!(seen_outside(&mut client), NOBODYS);
    for (key, rows) in [(&shop.ada, ADAS), (&shop.bob, BOBS)] {
        let mut transaction = client.transaction().unwrap();
        assert!(login(&mut transaction, key));
        assert_eq!(seen(&mut transaction), rows);
        transaction.commit().unwrap();
        assert_eq!(seen_outside(&mut client), NOBODYS);
    }
}

#[test]
fn a_key_writes_rows_of_its_owner_and_with_the_scope_alone() {
    let shop = Shop::new();
    let mut client = shop.connect();

    let mut transaction = client.transaction().unwrap();
    assert!(login(&mut transaction, &shop.ada));
    transaction.execute("INSERT INTO sale (article) VALUES ('rice')", &[]).unwrap();
    assert_eq!(seen(&mut transaction), "ada: bread, rice, salt");
    let forged = transaction.execute("INSERT INTO sale VALUES ('bob', 'water')", &[]);
    assert_eq!(refused(forged).sqlstate(), "42501");
    transaction.rollback().unwrap();

    let mut transaction = client.transaction().unwrap();
    assert!(login(&mut transaction, &shop.bob));
    let unscoped = transaction.execute("INSERT INTO sale (article) VALUES ('beer')", &[]);
    assert_eq!(refused(unscoped).sqlstate(), "42501");
    transaction.rollback().unwrap();

    // Nobody's rows belong to nobody: the default is NULL, and no policy lets it in.
    let anonymous = client.execute("INSERT INTO sale VALUES ('ada', 'air')", &[]);
    assert_eq!(refused(anonymous).sqlstate(), "42501");
}

/// On one connection, by each way that a transaction can end.
#[test]
fn the_identity_ends_with_the_transaction() {
    let shop = Shop::new();
    let mut client = shop.connect();
    for end in [
        "COMMIT",
        "ROLLBACK",
        "COMMIT AND CHAIN",
        "ROLLBACK AND CHAIN",
        "PREPARE TRANSACTION 'one'",
    ] {
        let mut transaction = client.transaction().unwrap();
        assert!(login(&mut transaction, &shop.ada), "{end}");
        assert_eq!(seen(&mut transaction), ADAS, "{end}");
        transaction.batch_execute(end).unwrap();
        assert_eq!(seen(&mut transaction), NOBODYS, "{end}");
        // What AND CHAIN began is ended here; after the others there is nothing to end but a
        // warning.
        transaction.rollback().unwrap();
        assert_eq!(seen_outside(&mut client), NOBODYS, "{end}");
    }
    client.batch_execute("COMMIT PREPARED 'one'").unwrap();
    assert_eq!(seen_outside(&mut client), NOBODYS);

    // By an error.
    let mut transaction = client.transaction().unwrap();
    assert!(login(&mut transaction, &shop.ada));
    assert_eq!(refused(transaction.batch_execute("SELECT 1/0")).sqlstate(), "22012");
    transaction.rollback().unwrap();
    assert_eq!(seen_outside(&mut client), NOBODYS);

    // With the statement, where nobody began a transaction.
    let allowed: bool =
        client.query_one("SELECT apikey_login($1, NULL)", &[&shop.ada]).unwrap().get(0);
    assert!(allowed);
    assert_eq!(seen_outside(&mut client), NOBODYS);
}

/// A procedure can end transactions on its way.
#[test]
fn the_identity_ends_with_a_commit_inside_a_procedure() {
    let shop = Shop::new();
    let mut client = shop.connect();
    client.execute("SELECT set_config('own.key', $1, false)", &[&shop.ada]).unwrap();
    client
        .batch_execute(
            "CREATE TABLE own.seen (step text, owner text);
             CREATE PROCEDURE own.steps() LANGUAGE plpgsql AS $$
             BEGIN
                 PERFORM apikey_login(current_setting('own.key'), NULL);
                 INSERT INTO own.seen VALUES ('login', (apikey_current()).owner);
                 COMMIT;
                 INSERT INTO own.seen VALUES ('commit', (apikey_current()).owner);
                 COMMIT;
                 PERFORM apikey_login(current_setting('own.key'), NULL);
                 ROLLBACK;
                 INSERT INTO own.seen VALUES ('rollback', (apikey_current()).owner);
             END $$;",
        )
        .unwrap();
    client.batch_execute("CALL own.steps()").unwrap();
    let steps = "SELECT string_agg(step || ' ' || coalesce(owner, 'nobody'), ', ' ORDER BY step) FROM own.seen";
    assert_eq!(one(&mut client, steps).unwrap(), "commit nobody, login ada, rollback nobody");
}

/// What deferred triggers do at COMMIT, they still do for the key.
#[test]
fn deferred_triggers_act_for_the_key() {
    let shop = Shop::new();
    shop.database
        .superuser()
        .batch_execute(
            "CREATE TABLE audit (owner text);
             CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
             BEGIN INSERT INTO audit VALUES ((apikey_current()).owner); RETURN NULL; END $$;
             CREATE CONSTRAINT TRIGGER note AFTER INSERT ON sale DEFERRABLE INITIALLY DEFERRED
                 FOR EACH ROW EXECUTE FUNCTION note()",
        )
        .unwrap();
    for end in ["COMMIT", "PREPARE TRANSACTION 'deferred'"] {
        let mut client = shop.connect();
        let mut transaction = client.transaction().unwrap();
        assert!(login(&mut transaction, &shop.ada));
        transaction.execute("INSERT INTO sale (article) VALUES ('rice')", &[]).unwrap();
        transaction.batch_execute(end).unwrap();
    }
    let mut owner = shop.database.superuser();
    owner.batch_execute("COMMIT PREPARED 'deferred'").unwrap();
    assert_eq!(one(&mut owner, "SELECT string_agg(owner, ' ') FROM audit").unwrap(), "ada ada");
}

/// Each step of a session with savepoints, and who it then acts for.
#[test]
fn a_savepoint_that_is_rolled_back_takes_its_identity_away() {
    let shop = Shop::new();
    let mut client = shop.connect();
    let mut transaction = client.transaction().unwrap();
    for (step, expected) in [
        ("SAVEPOINT a", NOBODYS),
        ("login ada", ADAS),
        ("ROLLBACK TO a", NOBODYS),
        // Before the savepoint: it holds again.
        ("login ada", ADAS),
        ("SAVEPOINT b", ADAS),
        ("login bob", BOBS),
        ("ROLLBACK TO b", ADAS),
        // Twice in one, and further in.
        ("login bob", BOBS),
        ("login ada", ADAS),
        ("login bob", BOBS),
        ("SAVEPOINT c", BOBS),
        ("login ada", ADAS),
        ("SAVEPOINT d", ADAS),
        ("login bob", BOBS),
        ("ROLLBACK TO b", ADAS),
        // Released: it becomes part of what is around it, and goes with that.
        ("SAVEPOINT e", ADAS),
        ("SAVEPOINT f", ADAS),
        ("login bob", BOBS),
        ("RELEASE f", BOBS),
        ("SAVEPOINT g", BOBS),
        ("RELEASE g", BOBS),
        ("ROLLBACK TO e", ADAS),
        ("login bob", BOBS),
        ("RELEASE e", BOBS),
        ("RELEASE b", BOBS),
        ("ROLLBACK TO a", NOBODYS),
        // That there is nobody is said in a savepoint, too.
        ("login ada", ADAS),
        ("SAVEPOINT h", ADAS),
        ("login nobody", NOBODYS),
        ("SAVEPOINT i", NOBODYS),
        ("ROLLBACK TO h", ADAS),
        ("login nobody", NOBODYS),
        ("RELEASE h", NOBODYS),
        ("login bob", BOBS),
        // An error ends what is innermost, and ROLLBACK TO gives back the one before.
        ("SAVEPOINT j", BOBS),
        ("login ada", ADAS),
        ("error", ""),
        ("ROLLBACK TO j", BOBS),
    ] {
        match step {
            "login ada" => assert!(login(&mut transaction, &shop.ada)),
            "login bob" => assert!(login(&mut transaction, &shop.bob)),
            "login nobody" => assert!(!login(&mut transaction, "nobody")),
            "error" => {
                assert_eq!(refused(transaction.batch_execute("SELECT 1/0")).sqlstate(), "22012")
            }
            savepoint => transaction.batch_execute(savepoint).unwrap(),
        }
        if !expected.is_empty() {
            assert_eq!(seen(&mut transaction), expected, "{step}");
        }
    }
    transaction.commit().unwrap();
    assert_eq!(seen_outside(&mut client), NOBODYS);
}

/// PL/pgSQL makes a savepoint of each block with EXCEPTION.
#[test]
fn an_exception_block_is_a_savepoint() {
    let shop = Shop::new();
    let mut client = shop.connect();
    for (ending, expected) in [("", BOBS), ("RAISE 'trouble';", ADAS)] {
        let mut transaction = client.transaction().unwrap();
        assert!(login(&mut transaction, &shop.ada));
        transaction.execute("SELECT set_config('own.key', $1, true)", &[&shop.bob]).unwrap();
        transaction
            .batch_execute(&format!(
                "DO $$
                 BEGIN
                     PERFORM apikey_login(current_setting('own.key'), NULL);
                     {ending}
                 EXCEPTION WHEN raise_exception THEN NULL;
                 END $$"
            ))
            .unwrap();
        assert_eq!(seen(&mut transaction), expected, "{ending}");
        transaction.commit().unwrap();
    }
}

#[test]
fn a_refused_login_leaves_nobody() {
    let shop = Shop::new();
    let [revoked, expired, disabled, elsewhere, tenants] = [
        "'read', owner => 'ada'",
        "'read', owner => 'ada'",
        "'read', owner => 'ada'",
        "'read', '10.0.0.1', owner => 'ada'",
        "'read', owner => 'ada', tenant => 'north'",
    ]
    .map(|arguments| shop.database.key(arguments));
    let mut owner = shop.database.superuser();
    owner.query("SELECT apikey_revoke($1)", &[&revoked]).unwrap();
    owner.query("SELECT apikey_disable($1)", &[&disabled]).unwrap();
    owner
        .execute(
            "UPDATE apikey.key SET expires_at = created_at WHERE prefix = $1",
            &[&&expired[..8]],
        )
        .unwrap();
    let wrong_secret = format!("{}{}", &shop.ada[..9], &shop.bob[9..]);
    let refused_keys = [
        &revoked,
        &expired,
        &disabled,
        &elsewhere,
        &tenants,
        &wrong_secret,
        "",
        "no key",
        &shop.ada[..8],
    ];

    let mut client = shop.connect();
    for key in refused_keys {
        let mut transaction = client.transaction().unwrap();
        assert!(login(&mut transaction, &shop.ada), "{key}");
        assert!(!login(&mut transaction, key), "{key}");
        assert_eq!(seen(&mut transaction), NOBODYS, "{key}");
        transaction.commit().unwrap();
    }
    let mut transaction = client.transaction().unwrap();
    assert!(login(&mut transaction, &shop.ada));
    let row = transaction.query_one("SELECT apikey_login(NULL, NULL)", &[]).unwrap();
    assert!(!row.get::<_, bool>(0));
    assert_eq!(seen(&mut transaction), NOBODYS);
}

/// From the commit of whatever ends the key, and from the next statement on.
#[test]
fn a_key_that_ends_in_mid_transaction_is_nobody() {
    let shop = Shop::new();
    let mut owner = shop.database.superuser();
    let mut client = shop.connect();
    for end in [
        "SELECT apikey_revoke('PREFIX')",
        "SELECT apikey_disable('PREFIX')",
        "SELECT apikey_rotate('PREFIX')",
        "UPDATE apikey.key SET expires_at = clock_timestamp() WHERE prefix = 'PREFIX'",
        "DELETE FROM apikey.key WHERE prefix = 'PREFIX'",
    ] {
        let key = shop.database.key("'read', owner => 'ada'");
        let mut transaction = client.transaction().unwrap();
        assert!(login(&mut transaction, &key), "{end}");
        assert_eq!(seen(&mut transaction), ADAS, "{end}");

        let mut ending = owner.transaction().unwrap();
        ending.batch_execute(&end.replace("PREFIX", &key[..8])).unwrap();
        assert_eq!(seen(&mut transaction), ADAS, "before the commit of {end}");
        ending.commit().unwrap();
        assert_eq!(seen(&mut transaction), NOBODYS, "after {end}");
        let granted = transaction.query_one("SELECT apikey_granted('read')", &[]).unwrap();
        assert!(!granted.get::<_, bool>(0), "after {end}");
        transaction.commit().unwrap();
    }
}

/// A disabled key that is enabled again is the identity again; a change of its owner holds at once.
#[test]
fn the_identity_is_read_from_the_row_each_time() {
    let shop = Shop::new();
    let mut owner = shop.database.superuser();
    let mut client = shop.connect();
    let mut transaction = client.transaction().unwrap();
    assert!(login(&mut transaction, &shop.ada));
    let prefix = &&shop.ada[..8];
    for (change, expected) in [
        ("SELECT apikey_disable($1)", NOBODYS),
        ("SELECT apikey_enable($1)", ADAS),
        ("UPDATE apikey.key SET owner = 'bob' WHERE prefix = $1", BOBS),
    ] {
        owner.query(change, &[prefix]).unwrap();
        assert_eq!(seen(&mut transaction), expected, "{change}");
    }
}

/// A transaction that asked for one snapshot gets it, of the keys as of everything else.
#[test]
fn a_repeatable_read_sees_the_keys_of_its_snapshot() {
    let shop = Shop::new();
    let mut client = shop.connect();
    let mut transaction = client
        .build_transaction()
        .isolation_level(postgres::IsolationLevel::RepeatableRead)
        .start()
        .unwrap();
    assert!(login(&mut transaction, &shop.ada));
    shop.database.superuser().query("SELECT apikey_revoke($1)", &[&shop.ada]).unwrap();
    assert_eq!(seen(&mut transaction), ADAS);
    transaction.commit().unwrap();
    let mut transaction = client.transaction().unwrap();
    assert!(!login(&mut transaction, &shop.ada));
}
