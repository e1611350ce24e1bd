//! `sql/import/django.sql`: keys of djangorestframework-api-key, made by a real Django.

use apikey_tests::{Cluster, Database, Django, eventually, one, stat, wrong_secret};
use postgres::Client;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../sql/import/django.sql");

fn check(client: &mut Client, key: &str, tenant: &str) -> Option<String> {
    one(client, &format!("SELECT apikey_check('{key}', NULL, '{tenant}')"))
}

fn methods(client: &mut Client) -> String {
    one(
        client,
        "SELECT string_agg(DISTINCT substring(verifier FROM '^\\$?[a-z0-9_]+'), ',') FROM apikey.key",
    )
    .unwrap_or_default()
}

/// Django's table, with rows that no Django is needed for.
fn plain_table(client: &mut Client, rows: &str) {
    client
        .batch_execute(&format!(
            "CREATE TABLE rest_framework_api_key_apikey (
                 id varchar(150) PRIMARY KEY DEFAULT gen_random_uuid(), prefix varchar(8) NOT NULL UNIQUE,
                 hashed_key varchar(150) NOT NULL DEFAULT 'sha512$$' || repeat('0', 128),
                 created timestamptz NOT NULL DEFAULT '2024-05-06', name varchar(50) NOT NULL,
                 revoked boolean NOT NULL DEFAULT false, expiry_date timestamptz);
             INSERT INTO rest_framework_api_key_apikey (prefix, name {rows}"
        ))
        .unwrap();
}

fn a_real_django(django: Django, hasher: Option<&str>, method: &str) {
    let database = Database::new();
    let mut client = database.superuser();
    let keys = django.keys(&database, "public", hasher);
    let output =
        database.run_script(SCRIPT, &["auth=event", "tenant=venue", "owner=ada", "dry_run=off"]);
    let report = output.success();
    assert!(report.contains("all|5|5|0|0"), "{report}");
    assert_eq!(methods(&mut client), method);

    let answer = r#"{"auth":"event","ip_request":null,"ip_valid":true}"#;
    for (label, key) in &keys {
        let valid = !["revoked", "expired"].contains(&&**label);
        let wrong = wrong_secret(key);
        assert_eq!(check(&mut client, &wrong, "venue"), None, "{label}");
        assert_eq!(check(&mut client, key, ""), None, "{label}");
        for _ in 0..2 {
            let expected = valid.then_some(answer);
            assert_eq!(check(&mut client, key, "venue").as_deref(), expected, "{label}");
        }
        let sql = format!("SELECT status FROM apikeys WHERE prefix = '{}'", &key[..8]);
        let status = if valid { "active" } else { &**label };
        assert_eq!(one(&mut client, &sql).as_deref(), Some(status));
        assert!(!report.contains(&key[9..]), "{report}");
    }
    // Good checks have the hash renewed; the others have no reason to.
    let renewed = "SELECT string_agg(DISTINCT name, ',' ORDER BY name) FROM apikey.key WHERE verifier LIKE '$argon2id$%'";
    let names = format!("a year,till,till ({})", &keys["the same"][..8]);
    eventually("the hashes of valid keys are renewed", || {
        for key in keys.values() {
            check(&mut client, key, "venue");
        }
        one(&mut client, renewed).as_ref() == Some(&names)
    });
    let trail =
        "SELECT string_agg(DISTINCT action, ',') FROM apikey_events WHERE changed ? 'owner'";
    assert_eq!(one(&mut client, trail).as_deref(), Some("import"));
}

#[test]
fn keys_of_the_current_version() {
    a_real_django(Django::Current, None, "sha512");
}

#[test]
fn keys_of_version_two_with_pbkdf2() {
    a_real_django(Django::Two, None, "pbkdf2_sha256");
}

#[test]
fn keys_of_version_two_with_argon2() {
    a_real_django(Django::Two, Some("Argon2PasswordHasher"), "argon2");
}

/// Whatever the length and the alphabet that Django's generator was told.
fn keys_of_other_generators(django: Django) {
    let database = Database::new();
    let mut client = database.superuser();
    let keys = django.other_keys(&database, "public");
    for (table, counts) in
        [("public.venue_key", "all|11|11|0|0"), ("public.venue_nameless", "all|1|1|0|0")]
    {
        let table = format!("table={table}");
        let report = database.run_script(SCRIPT, &["auth=event", "dry_run=off", &table]).success();
        assert!(report.contains(counts), "{report}");
    }
    assert_eq!(keys.len(), 12);
    let unknown = keys["default"].replace(&keys["default"][..8], "Zz-_zZ");
    let before = stat(&mut client, "unknown_prefix");
    assert_eq!(check(&mut client, &unknown, ""), None);
    assert_eq!(stat(&mut client, "unknown_prefix"), before + 1);

    for (label, key) in &keys {
        let (prefix, secret) = key.split_once('.').unwrap();
        let other = if secret.starts_with('x') { "y" } else { "x" };
        let wrong = format!("{prefix}.{other}{}", &secret[1..]);
        let explain = |client: &mut Client, key: &str| {
            one(client, &format!("SELECT apikey_explain('{key}', NULL)")).unwrap()
        };
        for _ in 0..2 {
            assert!(check(&mut client, key, "").is_some(), "{label}");
            for wrong in [&*wrong, &format!("{key}x"), &key[..key.len() - 1]] {
                assert_eq!(check(&mut client, wrong, ""), None, "{label} {wrong}");
            }
        }
        assert_eq!(explain(&mut client, key), "accepted", "{label}");
        let wrong = explain(&mut client, &wrong);
        assert!(wrong.starts_with("refused: wrong secret"), "{label}: {wrong}");
        let decision = format!("SELECT prefix FROM apikey_authorize('{key}', NULL, 'event')");
        assert_eq!(one(&mut client, &decision).as_deref(), Some(prefix), "{label}");
        let uses = format!("SELECT accepted FROM apikeys WHERE prefix = '{prefix}'");
        assert_eq!(one(&mut client, &uses).as_deref(), Some("3"), "{label}");
        assert_eq!(
            one(&mut client, &format!("SELECT apikey_rotate('{key}') ~ '^\\w{{8}}\\.\\w{{32}}$'"))
                .as_deref(),
            Some("t"),
            "{label}"
        );
        let revoked = explain(&mut client, key);
        assert!(revoked.starts_with("refused: revoked"), "{label}: {revoked}");
        assert_eq!(check(&mut client, key, ""), None, "{label}");
    }
}

#[test]
fn keys_of_other_generators_of_the_current_version() {
    keys_of_other_generators(Django::Current);
}

#[test]
fn keys_of_other_generators_of_version_two() {
    keys_of_other_generators(Django::Two);
}

#[test]
fn every_table_of_keys_is_accounted_for() {
    let database = Database::new();
    let mut client = database.superuser();
    client.batch_execute("CREATE SCHEMA venue").unwrap();
    Django::Current.other_keys(&database, "venue");
    plain_table(&mut client, ") VALUES ('AAAAAAAA', 'till'), ('BBBBBBBB', 'bar')");
    client
        .batch_execute(
            "INSERT INTO venue.rest_framework_api_key_apikey VALUES ('CCCCCCCC.hash', now(), 'old', false);
             CREATE TABLE venue.elsewhere (prefix text, hashed_key text, created text);
             INSERT INTO venue.elsewhere VALUES ('DDDDDDDD', 'hash', 'yesterday, or so');
             CREATE VIEW venue.disguised AS SELECT * FROM venue.venue_key",
        )
        .unwrap();
    let old = "it is of djangorestframework-api-key before 1.4: upgrade that, run manage.py migrate, and import again";
    let unlike = "Not read: is_paid. Does one of these columns make a key invalid?";
    let others = [
        format!("venue.rest_framework_api_key_apikey|1|0|0|1|No key of it can be imported: {old}"),
        "venue.elsewhere||0|0|0|No key of it can be imported: invalid input syntax".to_owned(),
    ];
    let first = database.run_script(SCRIPT, &["auth=event", "dry_run=off"]).success();
    for line in others.iter().cloned().chain([
        "public.rest_framework_api_key_apikey|2|2|0|0|\n".to_owned(),
        format!("venue.venue_key|11|0|0|11|Not asked for: -v table='venue.venue_key'. {unlike}"),
        "venue.venue_nameless|1|0|0|1|Not asked for: -v table='venue.venue_nameless'".to_owned(),
    ]) {
        assert!(first.contains(&line), "{line} is not in\n{first}");
    }
    assert!(!first.contains("disguised"), "{first}");

    // Those of a run before are here, whichever table is asked for now.
    let table = "table=venue.venue_nameless";
    let second = database.run_script(SCRIPT, &["auth=event", "dry_run=off", table]).success();
    for line in others.iter().cloned().chain([
        "public.rest_framework_api_key_apikey|2|0|2|0|".to_owned(),
        "venue.venue_nameless|1|1|0|0|\n".to_owned(),
    ]) {
        assert!(second.contains(&line), "{line} is not in\n{second}");
    }
    assert!(second.contains("||live|imported as 'unnamed'|"), "{second}");

    let table = "table=venue.rest_framework_api_key_apikey";
    let output = database.run_script(SCRIPT, &["auth=event", "dry_run=off", table]);
    assert_eq!(output.code, Some(3));
    assert!(output.stderr.contains(old), "{}", output.stderr);
    assert!(!output.stderr.contains("does not exist"), "{}", output.stderr);
}

/// Models may have fewer columns, and columns without NOT NULL and UNIQUE.
#[test]
fn a_row_that_is_no_key_is_listed_and_the_rest_is_imported() {
    let database = Database::new();
    let mut client = database.superuser();
    client
        .batch_execute(
            "CREATE TABLE keys (prefix text, hashed_key text, created timestamptz, name text);
             INSERT INTO keys SELECT p, h, c::timestamptz, n
               FROM (SELECT 'sha512$$' || repeat('0', 128)) AS sha(h),
                    (VALUES ('A', 'one', '2024-01-01'), ('A', 'two', '2024-01-02'), (NULL, 'three', '2024-01-03'),
                            ('D', NULL, '2024-01-04'), ('E', 'five', NULL)) AS k(p, n, c);
             INSERT INTO keys VALUES ('F', NULL, '2024-01-06', 'six')",
        )
        .unwrap();
    let report =
        database.run_script(SCRIPT, &["auth=event", "dry_run=off", "table=public.keys"]).success();
    for line in [
        "|A|one|postgres||live|imported|",
        "|A|two|postgres||live|not imported: another key has this prefix|",
        "||three|postgres||live|not imported: it has no prefix|",
        "|D||postgres||live|imported as 'unnamed'|",
        "|E|five|postgres||live|not imported: it has no created_at|",
        "|F|six|postgres||live|not imported: it has no verifier|",
        "all|6|2|0|4",
        "public.keys|6|2|0|4|",
    ] {
        assert!(report.contains(line), "{line} is not in\n{report}");
    }
}

#[test]
fn by_default_nothing_is_changed() {
    let database = Database::new();
    let mut client = database.superuser();
    plain_table(&mut client, ") VALUES ('AAAAAAAA', 'till')");
    for variables in [&["auth=event"][..], &["auth=event", "dry_run=on"]] {
        let report = database.run_script(SCRIPT, variables).success();
        assert!(report.contains("DRY RUN: nothing was changed."), "{report}");
        assert!(report.contains("|AAAAAAAA|till|postgres||live|imported|\"event\""), "{report}");
        let left = "SELECT count(*) + (SELECT count(*) FROM apikey.event) FROM apikey.key";
        assert_eq!(one(&mut client, left).as_deref(), Some("0"));
    }
}

#[test]
fn what_a_key_may_do_is_said_in_each_of_the_three_forms() {
    for (given, stored) in [
        ("event", r#""event""#),
        (r#""event""#, r#""event""#),
        (r#"["event","ticket"]"#, r#"["event", "ticket"]"#),
        (r#"{"event":true,"ticket":false}"#, r#"{"event": true, "ticket": false}"#),
    ] {
        let database = Database::new();
        let mut client = database.superuser();
        plain_table(&mut client, ") VALUES ('AAAAAAAA', 'till')");
        database.run_script(SCRIPT, &[&format!("auth={given}"), "dry_run=off"]).success();
        assert_eq!(one(&mut client, "SELECT auth FROM apikey.key").as_deref(), Some(stored));
    }
}

#[test]
fn what_cannot_be_taken_over_is_listed_and_the_rest_is() {
    let database = Database::new();
    let mut client = database.superuser();
    client.batch_execute("SET apikey.argon2_memory = '1MB'").unwrap();
    let present =
        one(&mut client, "SELECT apikey_create('shop', 'event', owner => 'ada')").unwrap();
    let present = &present[..8];
    plain_table(
        &mut client,
        &format!(
            ", hashed_key, created, revoked, expiry_date) VALUES
             ('AAAAAAAA', 'odd hash', 'bcrypt$$2b$12$abc', '2024-01-01', false, NULL),
             ('BBB+BBB',  'odd prefix', 'sha512$$' || repeat('0', 128), '2024-01-02', false, NULL),
             ('CCCCCCCC', '  ', 'sha512$$' || repeat('0', 128), '2024-01-03', false, NULL),
             ('DDDDDDDD', 'shop', 'sha512$$' || repeat('0', 128), '2024-01-04', false, NULL),
             ('EEEEEEEE', 'shop', 'sha512$$' || repeat('0', 128), '2024-01-05', true, NULL),
             ('FFFFFFFF', 'old', 'sha512$$' || repeat('0', 128), '2024-01-06', false, '2023-01-01'),
             ('{present}', 'same prefix', 'sha512$$' || repeat('0', 128), '2024-01-07', false, NULL)"
        ),
    );
    let report = database.run_script(SCRIPT, &["auth=event", "owner=ada", "dry_run=off"]).success();
    for line in [
        "|AAAAAAAA|odd hash|ada||live|not imported: A verifier is",
        "|BBB+BBB|odd prefix|ada||live|not imported: A prefix has 1 to 8 characters",
        "|CCCCCCCC|  |ada||live|imported as 'unnamed'|",
        "|DDDDDDDD|shop|ada||live|imported as 'shop (DDDDDDDD)'|",
        "|EEEEEEEE|shop|ada||revoked|imported|",
        "|FFFFFFFF|old|ada||expired|imported|",
        &format!(
            "|{present}|same prefix|ada||live|not imported: another key here has this prefix|"
        ),
        "all|7|4|0|3",
    ] {
        assert!(report.contains(line), "{line} is not in\n{report}");
    }
    // Those to look at come first.
    assert!(report.find("|DDDDDDDD|") < report.find("|EEEEEEEE|"), "{report}");
    assert!(!report.contains("000000") && !report.contains("$2b$"), "no hash is shown: {report}");
    let rows = "SELECT string_agg(concat_ws(' ', prefix, status, revoke_reason, revoked_by), ', ' ORDER BY prefix COLLATE \"C\")
                  FROM apikeys WHERE prefix ~ '^(.)\\1{7}$'";
    assert_eq!(
        one(&mut client, rows).as_deref(),
        Some(
            "CCCCCCCC active, DDDDDDDD active, EEEEEEEE revoked revoked in Django postgres, FFFFFFFF expired"
        )
    );
}

#[test]
fn run_again_it_changes_nothing_even_when_hashes_were_renewed() {
    let database = Database::new();
    let mut client = database.superuser();
    let rows = "SELECT string_agg(k::text, ';' ORDER BY prefix) || (SELECT count(*) FROM apikey.event) FROM apikey.key AS k";
    let keys = Django::Current.keys(&database, "public", None);
    let first = database.run_script(SCRIPT, &["auth=event", "dry_run=off"]).success();
    assert!(first.contains("all|5|5|0|0"), "{first}");
    let hash = format!(
        "SELECT left(verifier, 10) FROM apikey.key WHERE prefix = '{}'",
        &keys["till"][..8]
    );
    eventually("a hash is renewed", || {
        assert!(check(&mut client, &keys["till"], "").is_some());
        one(&mut client, &hash).as_deref() == Some("$argon2id$")
    });
    let before = one(&mut client, rows);
    let second =
        database.run_script(SCRIPT, &["auth=ticket", "owner=eve", "dry_run=off"]).success();
    assert!(second.contains("all|5|0|5|0"), "{second}");
    assert_eq!(one(&mut client, rows), before);

    client
        .execute(
            "UPDATE rest_framework_api_key_apikey SET revoked = true WHERE name = 'a year'",
            &[],
        )
        .unwrap();
    let third = database.run_script(SCRIPT, &["auth=event", "dry_run=off"]).success();
    assert!(third.contains("but revoked in Django: use apikey_revoke"), "{third}");
    assert_eq!(one(&mut client, rows), before);
}

#[test]
fn what_is_wrong_is_said_and_nothing_is_imported() {
    let database = Database::new();
    let mut client = database.superuser();
    plain_table(&mut client, ") VALUES ('AAAAAAAA', 'till')");
    client
        .batch_execute(
            "CREATE VIEW disguised AS SELECT * FROM rest_framework_api_key_apikey;
             CREATE TABLE other AS SELECT 1 AS id",
        )
        .unwrap();
    for (variables, said) in [
        (&["dry_run=off"][..], "the variable auth is not given"),
        (&["dry_run=off", "auth= "], "the variable auth is not given"),
        (&["dry_run=off", "auth={event}"], "invalid input syntax for type json"),
        (&["dry_run=of course", "auth=event"], "invalid input syntax for type boolean"),
        (
            &["dry_run=off", "auth=event", "table=public.nothing"],
            "there is no table public.nothing",
        ),
        (&["dry_run=off", "auth=event", "table=public.disguised"], "there is no table"),
        (
            &["dry_run=off", "auth=event", "table=public.other"],
            "there is no table public.other with the columns prefix and hashed_key",
        ),
    ] {
        let output = database.run_script(SCRIPT, variables);
        assert_eq!(output.code, Some(3), "{variables:?}");
        assert!(output.stderr.contains(said), "{variables:?}: {}", output.stderr);
        assert_eq!(one(&mut client, "SELECT count(*) FROM apikey.key").as_deref(), Some("0"));
    }
    client.batch_execute("CREATE SCHEMA \"Odd \"\"one\"\"\"; ALTER TABLE rest_framework_api_key_apikey SET SCHEMA \"Odd \"\"one\"\"\"").unwrap();
    let table = r#"table="Odd ""one""".rest_framework_api_key_apikey"#;
    database.run_script(SCRIPT, &["auth=event", "dry_run=off", table]).success();
    assert_eq!(one(&mut client, "SELECT count(*) FROM apikey.key").as_deref(), Some("1"));
}

#[test]
fn without_the_extension_it_says_what_to_do() {
    let database = Database::without_extension(Cluster::shared());
    plain_table(&mut database.superuser(), ") VALUES ('AAAAAAAA', 'till')");
    let output = database.run_script(SCRIPT, &["auth=event", "dry_run=off"]);
    assert_eq!(output.code, Some(3));
    assert!(output.stderr.contains("CREATE EXTENSION apikey"), "{}", output.stderr);
}

/// Postgres's own message would show the failing row.
#[test]
fn no_hash_reaches_an_error() {
    let database = Database::new();
    let mut client = database.superuser();
    plain_table(&mut client, ") VALUES ('Map0K71T', 'till')");
    client
        .batch_execute("ALTER TABLE apikey.key ADD CONSTRAINT test CHECK (name <> 'till')")
        .unwrap();
    let output = database.run_script(SCRIPT, &["auth=event", "dry_run=off"]);
    assert!(output.stdout.contains("not imported: test|"), "{}", output.stdout);
    assert!(!output.stderr.contains("0000"), "{}", output.stderr);
}

/// Whoever may create tables could have the superuser who imports run a function of theirs.
#[test]
fn no_function_of_a_tables_owner_is_run() {
    let database = Database::new();
    let mut client = database.superuser();
    plain_table(&mut client, ") VALUES ('AAAAAAAA', 'till')");
    client
        .batch_execute(
            "CREATE SCHEMA eve;
             CREATE TABLE eve.fooled (by text);
             CREATE TYPE eve.trick AS ENUM ('a');
             CREATE FUNCTION eve.to_json(eve.trick) RETURNS json LANGUAGE plpgsql AS
                 $$BEGIN INSERT INTO eve.fooled VALUES (current_user); RETURN '1'; END$$;
             CREATE CAST (eve.trick AS json) WITH FUNCTION eve.to_json(eve.trick);
             CREATE FUNCTION eve.to_text(eve.trick) RETURNS text LANGUAGE plpgsql AS
                 $$BEGIN INSERT INTO eve.fooled VALUES (current_user); RETURN 'a'; END$$;
             CREATE CAST (eve.trick AS text) WITH FUNCTION eve.to_text(eve.trick) AS IMPLICIT;
             CREATE TABLE eve.beside (prefix text, hashed_key text, created timestamptz, one eve.trick);
             CREATE TABLE eve.within (prefix eve.trick, hashed_key text, created timestamptz);
             INSERT INTO eve.beside VALUES ('E', 'h', now(), 'a');
             INSERT INTO eve.within VALUES ('a', 'h', now())",
        )
        .unwrap();
    let report = database.run_script(SCRIPT, &["auth=event", "dry_run=off"]).success();
    for line in [
        "eve.beside|1|0|0|1|Not asked for: -v table='eve.beside'. Not read: one. Does",
        "eve.within|1|0|0|1|No key of it can be imported: types of its own are not read: prefix",
    ] {
        assert!(report.contains(line), "{line} is not in\n{report}");
    }
    let output = database.run_script(SCRIPT, &["auth=event", "dry_run=off", "table=eve.within"]);
    assert!(output.stderr.contains("types of its own"), "{}", output.stderr);
    assert_eq!(one(&mut client, "SELECT count(*) FROM eve.fooled").as_deref(), Some("0"));
}
