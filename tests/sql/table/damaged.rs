//! What somebody did to the extension's table is an error with a hint, and never a crash. In a
//! cluster of the test's own: a crash would end the other tests, too.

use apikey_tests::{Cluster, Database, PUBLISHED_KEY, eventually, one, refused, wrong_secret};
use postgres::Client;
use serde_json::Value;

/// Makes way for a table with other columns. Changed in place, most of them would first take a view
/// along.
const PUT_ASIDE: &str = "ALTER TABLE apikey.key RENAME TO kept;
    CREATE TABLE apikey.key (LIKE apikey.kept INCLUDING INDEXES);
    INSERT INTO apikey.key SELECT * FROM apikey.kept;";
const PUT_BACK: &str = "DROP TABLE apikey.key; ALTER TABLE apikey.kept RENAME TO key";

/// Each with what undoes it.
fn damages() -> Vec<(String, String)> {
    let mut damages: Vec<_> = [
        ("ALTER TABLE apikey.key RENAME TO other", "ALTER TABLE apikey.other RENAME TO key"),
        ("ALTER SCHEMA apikey RENAME TO other", "ALTER SCHEMA other RENAME TO apikey"),
        (
            "ALTER TABLE apikey.key DROP CONSTRAINT key_pkey",
            "ALTER TABLE apikey.key ADD CONSTRAINT key_pkey PRIMARY KEY (prefix)",
        ),
        (
            "ALTER TABLE apikey.key DROP CONSTRAINT key_pkey, ADD CONSTRAINT other PRIMARY KEY (name)",
            "ALTER TABLE apikey.key DROP CONSTRAINT other, ADD CONSTRAINT key_pkey PRIMARY KEY (prefix)",
        ),
        (
            "DROP TRIGGER tag_belongs_to_verifier ON apikey.key;
             ALTER TABLE apikey.key ALTER tag TYPE bigint",
            "ALTER TABLE apikey.key ALTER tag TYPE integer",
        ),
    ]
    .map(|(damage, undo)| (damage.to_owned(), undo.to_owned()))
    .into();
    for replacement in [
        "CREATE VIEW apikey.key AS SELECT * FROM apikey.kept",
        "CREATE MATERIALIZED VIEW apikey.key AS SELECT * FROM apikey.kept",
        "CREATE SEQUENCE apikey.key",
        "CREATE TABLE apikey.key ()",
        "CREATE TABLE apikey.key (LIKE apikey.kept, PRIMARY KEY (prefix)) PARTITION BY RANGE (prefix);
         CREATE TABLE apikey.part PARTITION OF apikey.key DEFAULT",
    ] {
        let kind = replacement.split(" apikey.key").next().unwrap().replace("CREATE", "DROP");
        damages.push((
            format!("ALTER TABLE apikey.key RENAME TO kept; {replacement}"),
            format!("{kind} apikey.key; ALTER TABLE apikey.kept RENAME TO key"),
        ));
    }
    for other_type in [
        "prefix TYPE varchar",
        "prefix TYPE bytea USING convert_to(prefix, 'UTF8')",
        "verifier TYPE bytea USING convert_to(verifier, 'UTF8')",
        "auth TYPE json",
        "auth TYPE integer USING 7",
        "allowed_ips TYPE text[]",
        "allowed_ips TYPE inet USING '10.0.0.1'",
        "expires_at TYPE text",
        "expires_at TYPE timestamp",
        "disabled_at TYPE date",
        "revoked_at TYPE boolean USING false",
        "tenant TYPE name",
        "tag TYPE text",
        "tag TYPE bigint",
    ] {
        damages.push((
            format!("{PUT_ASIDE} ALTER TABLE apikey.key ALTER {other_type}"),
            PUT_BACK.to_owned(),
        ));
    }
    // A key without the end, the address rule or the tenant that it was given would be valid where
    // it is not. It may do without its tag: its secret is hashed then.
    for column in
        ["verifier", "auth", "allowed_ips", "expires_at", "disabled_at", "revoked_at", "tenant"]
    {
        damages.push((
            format!("ALTER TABLE apikey.key RENAME {column} TO other"),
            format!("ALTER TABLE apikey.key RENAME other TO {column}"),
        ));
        damages.push((
            format!("{PUT_ASIDE} ALTER TABLE apikey.key DROP {column}"),
            PUT_BACK.to_owned(),
        ));
    }
    damages
}

fn check(client: &mut Client, key: &str) -> Option<String> {
    one(client, &format!("SELECT apikey_check('{key}', '10.0.0.1')"))
}

#[test]
fn what_cannot_be_read_is_an_error_until_it_is_undone() {
    let database = Database::in_cluster(Cluster::preloaded(&[]));
    let mut client = database.superuser();
    let mut checking = database.superuser();
    let (key, unproven) = (database.key("'event', '10.0.0.0/8'"), database.key("'event'"));
    let pid = one(&mut checking, "SELECT pg_backend_pid()");
    let answer = check(&mut checking, &key);
    assert!(answer.is_some());
    for (damage, undo) in damages() {
        client.batch_execute(&damage).unwrap();
        for connection in [&mut checking, &mut database.superuser()] {
            for key in [&*key, &unproven, PUBLISHED_KEY] {
                let sql = format!("SELECT apikey_check('{key}', '10.0.0.1')");
                let result = connection.batch_execute(&sql);
                assert!(result.is_err(), "{damage}: not refused");
                let refusal = refused(result);
                assert_eq!(refusal.sqlstate(), "55000", "{damage}: {}", refusal.message());
                assert!(refusal.hint().contains("Undo that"), "{damage}: {}", refusal.hint());
                assert!(!refusal.whole().contains(&key[9..]), "{damage}: {}", refusal.whole());
            }
        }
        client.batch_execute(&undo).unwrap();
        for connection in [&mut checking, &mut database.superuser()] {
            assert_eq!(check(connection, &key), answer, "{undo}");
        }
    }
    assert_eq!(one(&mut checking, "SELECT pg_backend_pid()"), pid);
    assert!(check(&mut checking, &unproven).is_some());
}

#[test]
fn a_table_without_tags_is_served_as_that_of_an_older_version() {
    let database = Database::new();
    let (mut client, mut checking) = (database.superuser(), database.superuser());
    let key = database.key("'event', '10.0.0.0/8'");
    let wrong = wrong_secret(&key);
    let answer = check(&mut checking, &key);
    assert!(answer.is_some());
    client.batch_execute(&format!("{PUT_ASIDE} ALTER TABLE apikey.key DROP tag")).unwrap();
    for connection in [&mut checking, &mut database.superuser()] {
        assert_eq!((check(connection, &key), check(connection, &wrong)), (answer.clone(), None));
    }
    client.batch_execute(PUT_BACK).unwrap();
    assert_eq!((check(&mut checking, &key), check(&mut checking, &wrong)), (answer, None));
}

/// What only a decision shows.
#[test]
fn a_check_does_without_what_a_decision_cannot_show() {
    let database = Database::new();
    let (mut client, mut checking) = (database.superuser(), database.superuser());
    let key = database.key("'event', '10.0.0.0/8'");
    let answer = check(&mut checking, &key);
    let decide = format!("SELECT apikey_authorize('{key}', '10.0.0.1', 'event')");
    let decision = one(&mut checking, &decide);
    assert!(answer.is_some() && decision.is_some());
    for (damage, undo) in ["DROP name", "ALTER owner TYPE varchar", "RENAME metadata TO other"]
        .map(|change| (format!("{PUT_ASIDE} ALTER TABLE apikey.key {change}"), PUT_BACK))
        .into_iter()
        .chain(["ADD ATTRIBUTE more text", "ALTER ATTRIBUTE metadata TYPE json"].map(|change| {
            let put_back = "ALTER TYPE apikey_decision DROP ATTRIBUTE IF EXISTS more";
            (format!("ALTER TYPE apikey_decision {change}"), put_back)
        }))
    {
        client.batch_execute(&damage).unwrap();
        for connection in [&mut checking, &mut database.superuser()] {
            assert_eq!(check(connection, &key), answer, "{damage}");
            let refusal = refused(connection.batch_execute(&decide));
            assert_eq!(refusal.sqlstate(), "55000", "{damage}: {}", refusal.message());
            assert!(refusal.hint().contains("Undo that"), "{damage}: {}", refusal.hint());
            assert!(!refusal.whole().contains(&key[9..]), "{damage}: {}", refusal.whole());
        }
        client.batch_execute(undo).unwrap();
        if damage.contains("TYPE json") {
            client
                .batch_execute("ALTER TYPE apikey_decision ALTER ATTRIBUTE metadata TYPE jsonb")
                .unwrap();
        }
        for connection in [&mut checking, &mut database.superuser()] {
            let now = one(connection, &decide);
            assert_eq!(now, decision, "{undo}");
        }
    }
}

#[test]
fn columns_of_the_dbas_own_do_no_harm() {
    let database = Database::new();
    let mut client = database.superuser();
    let mut checking = database.superuser();
    let key = database.key("'event', '10.0.0.0/8'");
    let answer = check(&mut checking, &key);
    assert!(answer.is_some());
    for change in [
        "ALTER TABLE apikey.key ADD note text DEFAULT 'none', ADD number integer DEFAULT 7",
        "UPDATE apikey.key SET note = repeat('n', 5000)",
        "ALTER TABLE apikey.key DROP note",
        "ALTER TABLE apikey.key DROP number",
        "ALTER TABLE apikey.key ADD tags integer[] DEFAULT '{1,2}'",
        "VACUUM FULL apikey.key",
        "CREATE INDEX ON apikey.key (owner, prefix)",
        "REINDEX TABLE CONCURRENTLY apikey.key",
        "ALTER TABLE apikey.key ALTER name SET STATISTICS 100, ALTER auth SET STORAGE EXTERNAL",
    ] {
        client.batch_execute(change).unwrap();
        let younger = database.key("'event', '10.0.0.0/8'");
        for connection in [&mut checking, &mut database.superuser()] {
            for key in [&key, &younger] {
                assert_eq!(check(connection, key), answer, "{change}");
                let wrong = wrong_secret(key);
                assert_eq!(check(connection, &wrong), None, "{change}");
            }
        }
    }
    // The hash is renewed and the key rotated as ever.
    client.batch_execute("SET apikey.argon2_iterations = 2").unwrap();
    let renewed = format!(
        "SELECT verifier LIKE '%t=2%' AND tag IS NOT NULL FROM apikey.key WHERE prefix = '{}'",
        &key[..8]
    );
    eventually("the hash is renewed", || {
        assert_eq!(check(&mut client, &key), answer);
        one(&mut client, &renewed).as_deref() == Some("t")
    });
    let rotated = one(&mut client, &format!("SELECT apikey_rotate('{key}')")).unwrap();
    assert_eq!((check(&mut checking, &rotated), check(&mut checking, &key)), (answer, None));
}

/// So big that Postgres compresses what it can of it and moves the rest out of the row.
#[test]
fn the_biggest_row_is_answered_right() {
    let database = Database::new();
    let mut client = database.superuser();
    // What can hardly be compressed, and what can.
    let auths = [
        "(SELECT jsonb_agg(md5(n::text) || md5((-n)::text)) FROM generate_series(1, 64) AS n)",
        "(SELECT jsonb_object_agg(md5(n::text) || md5((-n)::text), n % 2 = 0) FROM generate_series(1, 64) AS n)",
        "to_jsonb(array_fill(repeat('s', 64), '{64}'))",
    ];
    let arguments = "ips => (SELECT array_agg(('2001:db8:' || to_hex(n) || '::/48')::inet) FROM generate_series(1, 64) AS n),
        metadata => jsonb_build_object('k', (SELECT string_agg(md5(n::text), '') FROM generate_series(1, 255) AS n))";
    for storage in ["EXTENDED", "EXTERNAL", "MAIN"] {
        let storage = format!(
            "ALTER TABLE apikey.key ALTER auth SET STORAGE {storage}, ALTER allowed_ips SET STORAGE {storage}"
        );
        client.batch_execute(&storage).unwrap();
        for auth in auths {
            let key = database.key(&format!("{auth}, {arguments}"));
            let stored = format!("SELECT auth FROM apikey.key WHERE prefix = '{}'", &key[..8]);
            let stored: Value = serde_json::from_str(&one(&mut client, &stored).unwrap()).unwrap();
            for (ip, is_valid) in
                [("2001:db8:1::1", true), ("2001:db8:40::1", true), ("2001:db8:41::1", false)]
            {
                for connection in [&mut client, &mut database.superuser()] {
                    let answer = one(connection, &format!("SELECT apikey_check('{key}', '{ip}')"));
                    let answer: Value = serde_json::from_str(&answer.unwrap()).unwrap();
                    let expected =
                        serde_json::json!({"auth": stored, "ip_request": ip, "ip_valid": is_valid});
                    assert_eq!(answer, expected, "{storage}");
                }
            }
        }
    }
    let toast = "SELECT pg_relation_size(reltoastrelid) > 8192 FROM pg_class WHERE oid = 'apikey.key'::regclass";
    assert_eq!(one(&mut client, toast).as_deref(), Some("t"));
    let compressed = "SELECT bool_or(pg_column_compression(auth) IS NOT NULL) FROM apikey.key";
    assert_eq!(one(&mut client, compressed).as_deref(), Some("t"));
}
