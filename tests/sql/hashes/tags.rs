//! The tag of a generated key, by which a wrong secret is refused without the slow hash. A secret
//! that a person may have chosen has none.

use apikey_core::{Argon2Params, Block, hash, tag};
use apikey_format::Key;
use apikey_tests::{Database, eventually, is_valid, one, refused, wrong_secret};
use postgres::Client;

const IMPORT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../sql/import/django.sql");

/// Whether the tag is that of this key and its verifier; `None`: there is no tag.
fn is_its_tag(client: &mut Client, key: &str) -> Option<bool> {
    let sql = "SELECT tag = apikey.make_tag($1, verifier) FROM apikey.key WHERE prefix = split_part($1, '.', 1)";
    client.query_one(sql, &[&key]).unwrap().get(0)
}

#[test]
fn a_created_and_a_rotated_key_have_their_tags() {
    let database = Database::new();
    let mut client = database.superuser();
    let level = database.key("'event'");
    let list = database.key("'[\"event\",\"ticket\"]'::jsonb");
    let rotated = one(&mut client, &format!("SELECT apikey_rotate('{level}', '1 hour')")).unwrap();
    for key in [&level, &list, &rotated] {
        assert_eq!(is_its_tag(&mut client, key), Some(true));
        assert!(is_valid(&mut client, key) && !is_valid(&mut client, &wrong_secret(key)));
    }
    // The salt of the hash is in it: it says nothing about the same key elsewhere.
    let distinct = "SELECT count(DISTINCT apikey.make_tag($1, apikey.make_verifier($1))) FROM generate_series(1, 5)";
    let distinct: i64 = client.query_one(distinct, &[&level]).unwrap().get(0);
    assert_eq!(distinct, 5);
}

#[test]
fn a_renewed_hash_has_a_new_tag_and_the_key_goes_on() {
    let database = Database::new();
    let mut client = database.superuser();
    let key = database.key("'event'");
    let tag = "SELECT tag FROM apikey.key";
    let before = one(&mut client, tag);
    client.batch_execute("SET apikey.argon2_iterations = 2").unwrap();
    eventually("the hash is renewed", || {
        assert!(!is_valid(&mut client, &wrong_secret(&key)) && is_valid(&mut client, &key));
        let cost = one(&mut client, "SELECT split_part(verifier, '$', 4) FROM apikey.key");
        cost.as_deref() == Some("m=1024,t=2,p=1")
    });
    assert_eq!(is_its_tag(&mut client, &key), Some(true));
    assert_ne!(one(&mut client, tag), before);
    for mut client in [client, database.superuser()] {
        assert!(!is_valid(&mut client, &wrong_secret(&key)) && is_valid(&mut client, &key));
    }
}

/// What a DBA does who hashes keys elsewhere, or brings a row back from a backup.
#[test]
fn a_new_verifier_takes_the_old_tag_away_unless_it_brings_its_own() {
    let database = Database::new();
    let mut client = database.superuser();
    let key = database.key("'event'");
    let alone = "UPDATE apikey.key SET verifier = apikey.make_verifier($1)";
    client.execute(alone, &[&key]).unwrap();
    assert_eq!(is_its_tag(&mut client, &key), None);
    assert!(is_valid(&mut client, &key) && !is_valid(&mut client, &wrong_secret(&key)));

    let both = "UPDATE apikey.key SET (verifier, tag) =
                    (SELECT v, apikey.make_tag($1, v) FROM apikey.make_verifier($1) AS v)";
    for _ in 0..2 {
        client.execute(both, &[&key]).unwrap();
        assert_eq!(is_its_tag(&mut client, &key), Some(true));
        assert!(is_valid(&mut client, &key) && !is_valid(&mut client, &wrong_secret(&key)));
    }
    // The same verifier again is no new one.
    client.batch_execute("UPDATE apikey.key SET verifier = verifier, name = 'renamed'").unwrap();
    assert_eq!(is_its_tag(&mut client, &key), Some(true));
}

#[test]
fn keys_from_elsewhere_have_no_tag_also_when_their_hash_was_renewed() {
    let database = Database::new();
    let mut client = database.superuser();
    let imported = "AAAAAAAA.thesecretthatDjangomadeyearsago1";
    client
        .batch_execute(&format!(
            "CREATE TABLE rest_framework_api_key_apikey (
                 id text, prefix text, hashed_key text, created timestamptz, name text, revoked boolean, expiry_date timestamptz);
             INSERT INTO rest_framework_api_key_apikey
             VALUES ('1', 'AAAAAAAA', 'sha512$$' || encode(sha512('{imported}'), 'hex'), '2024-05-06', 'till', false, NULL)"
        ))
        .unwrap();
    let psql = ["-X", "-f", IMPORT, "-v", "auth=event", "-v", "dry_run=off"];
    database.client_program("psql", &psql).success();

    let inserted = "Inserted.thesecretthatsomebodychose000000";
    client
        .execute(
            "INSERT INTO apikey.key (prefix, verifier, name, auth)
             VALUES (split_part($1, '.', 1), apikey.make_verifier($1), 'by hand', '\"event\"')",
            &[&inserted],
        )
        .unwrap();
    client.batch_execute("SET apikey.argon2_iterations = 2").unwrap();
    let cost = "SELECT string_agg(DISTINCT split_part(verifier, '$', 4), ' ') FROM apikey.key";
    eventually("the hashes are renewed", || {
        for key in [imported, inserted] {
            assert_eq!(is_its_tag(&mut client, key), None);
            assert!(
                !is_valid(&mut client, &wrong_secret(key)) && is_valid(&mut client, key),
                "{key}"
            );
        }
        one(&mut client, cost).as_deref() == Some("m=1024,t=2,p=1")
    });
    for key in [imported, inserted] {
        assert_eq!(is_its_tag(&mut client, key), None);
        assert!(!is_valid(&mut client, &wrong_secret(key)) && is_valid(&mut client, key), "{key}");
    }
    // Whoever gets a new key for it gets one that was generated.
    let rotated = one(&mut client, "SELECT apikey_rotate('AAAAAAAA')").unwrap();
    assert_eq!(is_its_tag(&mut client, &rotated), Some(true));
}

/// It would refuse nothing but let somebody test guesses at a secret that Django's users may have
/// chosen.
#[test]
fn a_hash_of_django_takes_no_tag() {
    let database = Database::new();
    let mut client = database.superuser();
    database.key("'event'");
    for verifier in [
        "'sha512$$' || repeat('a', 128)",
        "'pbkdf2_sha256$1000$salt$' || repeat('A', 43) || '='",
        "'argon2' || verifier",
    ] {
        let both = format!("UPDATE apikey.key SET verifier = {verifier}, tag = 1");
        let refusal = refused(client.batch_execute(&both));
        assert_eq!(refusal.sqlstate(), "23514", "{verifier}");
        assert!(refusal.message().contains("\"tag_of_argon2id\""), "{}", refusal.message());
    }
    // The verifier alone takes the old tag away, and is fine.
    client
        .batch_execute("UPDATE apikey.key SET verifier = 'sha512$$' || repeat('a', 128)")
        .unwrap();
    let refusal = refused(client.batch_execute("UPDATE apikey.key SET tag = 1"));
    assert!(refusal.message().contains("\"tag_of_argon2id\""), "{}", refusal.message());
}

#[test]
fn the_tag_is_in_no_event_view_or_error() {
    let database = Database::new();
    let mut client = database.superuser();
    let key = database.key("'event'");
    let stored = "SELECT tag FROM apikey.key ORDER BY created_at";
    let mut tags = vec![one(&mut client, stored).unwrap()];
    // An event tells that the tag was changed, as it does of a verifier.
    client.batch_execute("UPDATE apikey.key SET tag = 1234567890").unwrap();
    tags.push("1234567890".to_owned());
    let event = "SELECT changed FROM apikey_events WHERE action = 'change'";
    assert_eq!(
        one(&mut client, event).as_deref(),
        Some(r#"{"verifier": {"to": "argon2id", "from": "argon2id"}}"#)
    );
    one(&mut client, &format!("SELECT apikey_rotate('{}', '1 hour')", &key[..8])).unwrap();
    client.batch_execute("DELETE FROM apikey.key WHERE replaced_by IS NOT NULL").unwrap();
    tags.push(one(&mut client, stored).unwrap());
    let views = "SELECT string_agg(c.oid::regclass::text, ' ' ORDER BY c.relname) FROM pg_class AS c
                   JOIN pg_depend AS d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
                  WHERE c.relkind = 'v'";
    let views = one(&mut client, views).unwrap();
    for place in views.split(' ').chain(["apikey.event"]) {
        let rows = format!("SELECT coalesce(string_agg(v::text, ' '), '') FROM {place} AS v");
        let rows = one(&mut client, &rows).unwrap();
        assert!(!rows.is_empty() && !tags.iter().any(|tag| rows.contains(tag)), "{place}: {rows}");
        let columns = format!(
            "SELECT count(*) FROM pg_attribute WHERE attrelid = '{place}'::regclass AND attname = 'tag'"
        );
        assert_eq!(one(&mut client, &columns).as_deref(), Some("0"), "{place}");
    }

    let taken = one(&mut client, "SELECT name FROM apikeys").unwrap();
    for statement in [
        "SELECT apikey_create('', 'event')".to_owned(),
        format!("SELECT apikey_create('{taken}', 'event')"),
        "SELECT apikey_create('till', 'no scope')".to_owned(),
        "SELECT apikey_create('till', 'event', expires_at => '2020-01-01')".to_owned(),
        "SELECT apikey.make_tag('no key', 'no verifier')".to_owned(),
    ] {
        let refusal = refused(client.batch_execute(&statement));
        let whole = refusal.whole();
        assert!(!refusal.hint().is_empty(), "{statement}: {whole}");
        assert!(!whole.contains("Failing row") && !whole.contains("argon2id$"), "{whole}");
    }
}

/// Whoever writes such a row by hand gains nothing by it.
#[test]
fn a_row_with_a_tag_matches_no_key_of_another_shape() {
    let database = Database::new();
    let mut client = database.superuser();
    for (text, is_taken) in
        [("Map0K71T.rcs82Q66NuCUCuyTmnjVhmwhfl0VnOsW", true), ("odd.a-secret", false)]
    {
        let key = Key::parse(text).unwrap();
        let cheap = Argon2Params { memory: 1024, iterations: 1, parallelism: 1 };
        let verifier = hash(key, cheap, |blocks| Some(vec![Block::default(); blocks])).unwrap();
        let insert = "INSERT INTO apikey.key (prefix, verifier, tag, name, auth) VALUES ($1, $2, $3, $1, '\"event\"')";
        let tag = tag(key, &verifier).cast_signed();
        client.execute(insert, &[&key.prefix(), &verifier, &tag]).unwrap();
        assert_eq!(is_valid(&mut client, text), is_taken, "{text}");
        client.batch_execute("UPDATE apikey.key SET tag = NULL").unwrap();
        assert!(is_valid(&mut client, text), "{text}");
    }
    for function in ["make_verifier($1)", "make_tag($1, '')"] {
        let made = client.query(&format!("SELECT apikey.{function}"), &[&"odd.a-secret"]);
        assert_eq!(refused(made).message(), "not an API key", "{function}");
    }
}
