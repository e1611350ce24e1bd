//! `sql/import/tibillet.sql`: keys of venues, each in a schema of its own.

use apikey_tests::{Database, Django, one};
use postgres::Client;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../sql/import/tibillet.sql");

const ADA: &str = "11111111-1111-4111-8111-111111111111";
const ASSET: &str = "22222222-2222-4222-8222-222222222222";

/// The columns of versions that were published, from the oldest on.
const OLDEST: [&str; 5] = ["event", "product", "place", "artist", "reservation"];
const MIDDLE: [&str; 6] = ["event", "product", "reservation", "ticket", "wallet", "sale"];
const NEWEST: [&str; 9] =
    ["event", "product", "reservation", "ticket", "membership", "wallet", "sale", "crowd", "page"];

/// What all tenants share.
fn platform(client: &mut Client, schemas: &[&str]) {
    client
        .batch_execute(&format!(
            "CREATE TABLE public.\"Customers_client\" (uuid uuid PRIMARY KEY DEFAULT gen_random_uuid(), schema_name varchar(63) UNIQUE);
             CREATE TABLE public.\"AuthBillet_tibilletuser\" (id uuid PRIMARY KEY, email varchar(254) UNIQUE NOT NULL);
             INSERT INTO public.\"AuthBillet_tibilletuser\" VALUES ('{ADA}', 'ada@example.org')"
        ))
        .unwrap();
    for schema in schemas {
        let sql = "INSERT INTO public.\"Customers_client\" (schema_name) VALUES ($1)";
        client.execute(sql, &[schema]).unwrap();
    }
}

/// A venue's tables. `others` are columns that are no rights, each with a comma before it.
fn venue(client: &mut Client, schema: &str, rights: &[&str], others: &str) {
    client
        .batch_execute(&format!(
            "CREATE SCHEMA \"{schema}\";
             CREATE TABLE \"{schema}\".rest_framework_api_key_apikey (
                 id varchar(150) PRIMARY KEY, prefix varchar(8) NOT NULL UNIQUE, hashed_key varchar(150) NOT NULL,
                 created timestamptz NOT NULL, name varchar(50) NOT NULL, revoked boolean NOT NULL, expiry_date timestamptz)"
        ))
        .unwrap();
    permissions(client, schema, rights, others);
}

/// The table beside Django's, which says what a key may do.
fn permissions(client: &mut Client, schema: &str, rights: &[&str], others: &str) {
    let rights: String =
        rights.iter().map(|right| format!(", {right} boolean NOT NULL DEFAULT false")).collect();
    client
        .batch_execute(&format!(
            "CREATE TABLE \"{schema}\".\"BaseBillet_externalapikey\" (
                 id bigserial PRIMARY KEY, name varchar(30) NOT NULL UNIQUE, ip inet, created timestamptz NOT NULL DEFAULT now(),
                 user_id uuid REFERENCES public.\"AuthBillet_tibilletuser\",
                 key_id varchar(150) UNIQUE REFERENCES \"{schema}\".rest_framework_api_key_apikey {rights} {others})"
        ))
        .unwrap();
}

/// A key of a venue; `extra` is `column = value, …` of the table of rights. The id has a hash that
/// was renewed since, as after an upgrade of Django's package.
fn key(client: &mut Client, schema: &str, prefix: &str, name: &str, extra: &str) {
    orphan(client, schema, prefix, name);
    let (columns, values): (Vec<_>, Vec<_>) =
        extra.split(", ").filter_map(|pair| pair.split_once(" = ")).unzip();
    client
        .batch_execute(&format!(
            "INSERT INTO \"{schema}\".\"BaseBillet_externalapikey\" (name, key_id, {}) VALUES ('{name}', '{prefix}.old', {})",
            columns.join(", "),
            values.join(", ")
        ))
        .unwrap();
}

fn orphan(client: &mut Client, schema: &str, prefix: &str, name: &str) {
    client
        .batch_execute(&format!(
            "INSERT INTO \"{schema}\".rest_framework_api_key_apikey
             VALUES ('{prefix}.old', '{prefix}', 'sha512$$' || repeat('0', 128), '2024-01-01', '{name} in Django', false, NULL)"
        ))
        .unwrap();
}

#[track_caller]
fn assert_lines(report: &str, lines: &[&str]) {
    for line in lines {
        assert!(report.contains(line), "{line} is not in\n{report}");
    }
}

#[test]
fn what_a_key_may_do_is_what_its_clients_see_today() {
    let database = Database::new();
    let mut client = database.superuser();
    platform(&mut client, &["public", "oldest", "middle", "newest"]);
    venue(&mut client, "oldest", &OLDEST, "");
    venue(&mut client, "middle", &MIDDLE, "");
    venue(&mut client, "newest", &NEWEST, ", gift_asset_id uuid");
    key(&mut client, "oldest", "AAAAAAAA", "till", "artist = true, event = true");
    key(&mut client, "middle", "BBBBBBBB", "till", "product = true, sale = true");
    key(&mut client, "newest", "CCCCCCCC", "till", "page = true, crowd = true");
    key(&mut client, "newest", "DDDDDDDD", "gifts", &format!("gift_asset_id = '{ASSET}'"));
    let report = database.run_script(SCRIPT, &["dry_run=off"]).success();
    assert_lines(
        &report,
        &["middle|1|1|0|0", "all|4|4|0|0", "till|middle, newest, oldest", "tenant\npublic\n"],
    );

    let none = r#"{"page":false,"sale":false,"bloc":false,"crowd":false,"event":false,"price":false,"ticket":false,"wallet":false,"product":false,"membership":false,"reservation":false,"walletrefill":false,"postaladdress":false}"#;
    let granted = |names: &[&str]| {
        names.iter().fold(none.to_owned(), |auth, name| {
            auth.replace(&format!("\"{name}\":false"), &format!("\"{name}\":true"))
        })
    };
    for (prefix, expected) in [
        (
            "AAAAAAAA",
            r#"{"event":true,"place":false,"price":false,"artist":true,"product":false,"reservation":false,"postaladdress":true}"#.to_owned(),
        ),
        (
            "BBBBBBBB",
            r#"{"sale":true,"event":false,"price":true,"ticket":false,"wallet":false,"product":true,"reservation":false,"postaladdress":false}"#.to_owned(),
        ),
        ("CCCCCCCC", granted(&["page", "bloc", "crowd"])),
        ("DDDDDDDD", granted(&["walletrefill"])),
    ] {
        let same = format!("SELECT auth = '{expected}' FROM apikey.key WHERE prefix = '{prefix}'");
        let auth = one(&mut client, &format!("SELECT auth FROM apikey.key WHERE prefix = '{prefix}'"));
        assert_eq!(one(&mut client, &same).as_deref(), Some("t"), "{auth:?}");
    }
    // The asset that a key may refill is not lost, nor is there one where there was none.
    let metadata = "SELECT string_agg(metadata::text, ' ' ORDER BY prefix) FROM apikey.key";
    let expected = format!("{{}} {{}} {{}} {{\"gift_asset\": \"{ASSET}\"}}");
    assert_eq!(one(&mut client, metadata), Some(expected));
}

#[test]
fn owner_tenant_address_and_state_come_along() {
    let database = Database::new();
    let mut client = database.superuser();
    platform(&mut client, &["Odd \"one\""]);
    client.batch_execute("SELECT").unwrap();
    let schema = "Odd \"\"one\"\"";
    venue(&mut client, schema, &NEWEST, ", gift_asset_id uuid");
    key(&mut client, schema, "AAAAAAAA", "ada", &format!("user_id = '{ADA}', ip = '192.0.2.1'"));
    key(&mut client, schema, "BBBBBBBB", "nobody", "ip = NULL");
    key(&mut client, schema, "CCCCCCCC", "ended", "ip = '2001:db8::1'");
    client
        .batch_execute(&format!(
            "UPDATE \"{schema}\".rest_framework_api_key_apikey SET revoked = true, expiry_date = '2024-06-01' WHERE prefix = 'CCCCCCCC'"
        ))
        .unwrap();
    database.run_script(SCRIPT, &["dry_run=off"]).success();
    let rows = "SELECT string_agg(concat_ws('|', prefix, tenant, owner, name, allowed_ips, created_at::date, expires_at::date, status, revoke_reason),
                                  E'\\n' ORDER BY prefix) FROM apikeys";
    assert_eq!(
        one(&mut client, rows).unwrap(),
        "AAAAAAAA|Odd \"one\"|ada@example.org|ada|{192.0.2.1}|2024-01-01|active\n\
         BBBBBBBB|Odd \"one\"|Odd \"one\"|nobody|2024-01-01|active\n\
         CCCCCCCC|Odd \"one\"|Odd \"one\"|ended|{2001:db8::1}|2024-01-01|2024-06-01|revoked|revoked in Django"
    );
}

#[test]
fn what_needs_a_decision_is_listed_and_the_rest_is_imported() {
    let database = Database::new();
    let mut client = database.superuser();
    one(
        &mut client,
        "SELECT apikey_create('shop', 'event', owner => 'ada@example.org', tenant => 'demo')",
    );
    platform(&mut client, &["public", "copy", "demo", "next"]);
    for schema in ["copy", "demo"] {
        venue(&mut client, schema, &MIDDLE, "");
        key(&mut client, schema, "AAAAAAAA", "copied", "event = true");
    }
    key(&mut client, "demo", "BBBBBBBB", "shop", &format!("user_id = '{ADA}'"));
    orphan(&mut client, "demo", "CCCCCCCC", "lost");
    key(&mut client, "demo", "DDDDDDDD", "odd", "event = true");
    client
        .batch_execute("UPDATE demo.rest_framework_api_key_apikey SET hashed_key = 'md5$a$b' WHERE prefix = 'DDDDDDDD'")
        .unwrap();
    // What a version to come might bring.
    venue(&mut client, "next", &["event", "blocked", "booking"], "");
    key(&mut client, "next", "EEEEEEEE", "till", "event = true, blocked = true");

    let listed = [
        "copy|AAAAAAAA|copied|copy||live|not imported: a key of tenant demo has this prefix, too|",
        "demo|AAAAAAAA|copied|demo||live|not imported: a key of tenant copy has this prefix, too|",
        "demo|BBBBBBBB|shop|ada@example.org||live|imported as 'shop (BBBBBBBB)'|",
        "demo|CCCCCCCC|lost in Django|demo||live|not imported: orphan, nothing says what it may do|",
        "demo|DDDDDDDD|odd|demo||live|not imported: A verifier is",
        "next|EEEEEEEE|till|next||live|not imported: is this a right? If so, add -v rights=blocked,booking|",
        "all|6|1|0|5",
    ];
    for variables in [&[][..], &["dry_run=off"]] {
        let report = database.run_script(SCRIPT, variables).success();
        assert_lines(&report, &listed);
        assert!(!report.contains("000000"), "{report}");
    }
    let names = "SELECT string_agg(name, ',' ORDER BY name) FROM apikey.key";
    assert_eq!(one(&mut client, names).as_deref(), Some("shop,shop (BBBBBBBB)"));

    // Decided: the copy's key is the one that counts, and both columns are rights.
    database.run_script(SCRIPT, &["dry_run=off", "tenants=copy"]).success();
    let report = database.run_script(SCRIPT, &["dry_run=off", "rights=blocked, booking"]).success();
    assert_lines(
        &report,
        &[
            "copy|AAAAAAAA|copied|copy||live|here already|",
            "demo|AAAAAAAA|copied|demo||live|not imported: another key here has this prefix|",
            "next|EEEEEEEE|till|next||live|imported|{\"event\": true, \"blocked\": true, \"booking\": false, \"postaladdress\": true}",
            "all|6|1|2|3",
        ],
    );
}

#[test]
fn the_dry_run_and_the_second_run_change_nothing() {
    let database = Database::new();
    let mut client = database.superuser();
    platform(&mut client, &["demo"]);
    venue(&mut client, "demo", &MIDDLE, "");
    key(&mut client, "demo", "AAAAAAAA", "till", "event = true");
    key(&mut client, "demo", "BBBBBBBB", "shop", "event = true");
    let state = "SELECT concat(string_agg(k::text, ';' ORDER BY prefix), (SELECT count(*) FROM apikey.event)) FROM apikey.key AS k";
    for variables in [&[][..], &["dry_run=on"], &["dry_run=1"]] {
        let report = database.run_script(SCRIPT, variables).success();
        assert_lines(&report, &["all|2|2|0|0", "DRY RUN: nothing was changed."]);
        assert_eq!(one(&mut client, state).as_deref(), Some("0"));
    }
    assert_lines(
        &database.run_script(SCRIPT, &["dry_run=off"]).success(),
        &["all|2|2|0|0", "Done."],
    );
    let before = one(&mut client, state);
    assert_lines(
        &database.run_script(SCRIPT, &["dry_run=off"]).success(),
        &["all|2|0|2|0", "Done."],
    );
    assert_eq!(one(&mut client, state), before);
}

#[test]
fn an_error_leaves_nothing_behind() {
    let database = Database::new();
    let mut client = database.superuser();
    platform(&mut client, &["demo", "zoo"]);
    venue(&mut client, "demo", &MIDDLE, "");
    key(&mut client, "demo", "AAAAAAAA", "till", "event = true");
    venue(&mut client, "zoo", &MIDDLE, "");
    for (spoil, variables, said) in [
        ("SELECT", &["dry_run=off", "tenants=demo,nowhere"][..], "there is no tenant 'nowhere'"),
        ("SELECT", &["dry_run=maybe"], "invalid input syntax for type boolean"),
    ] {
        client.batch_execute(spoil).unwrap();
        let output = database.run_script(SCRIPT, variables);
        assert_eq!(output.code, Some(3), "{said}");
        assert!(output.stderr.contains(said), "{said}: {}", output.stderr);
        assert_eq!(one(&mut client, "SELECT count(*) FROM apikey.key").as_deref(), Some("0"));
    }
    database.run_script(SCRIPT, &["dry_run=off", "tenants=demo"]).success();
    assert_eq!(one(&mut client, "SELECT count(*) FROM apikey.key").as_deref(), Some("1"));
}

#[test]
fn a_venue_that_does_not_say_what_its_keys_may_do_stops_nobody_else() {
    for (spoil, why) in [
        ("ALTER TABLE zoo.\"BaseBillet_externalapikey\" DROP COLUMN ip", "has no column ip"),
        (
            "DROP TABLE zoo.\"BaseBillet_externalapikey\"",
            "there is no table \"BaseBillet_externalapikey\"",
        ),
        (
            "ALTER TABLE zoo.rest_framework_api_key_apikey ALTER id TYPE varchar(100), DROP prefix, DROP hashed_key",
            "it is of djangorestframework-api-key before 1.4: upgrade that",
        ),
    ] {
        let database = Database::new();
        let mut client = database.superuser();
        platform(&mut client, &["demo", "zoo"]);
        for (schema, prefix) in [("demo", "AAAAAAAA"), ("zoo", "BBBBBBBB")] {
            venue(&mut client, schema, &MIDDLE, "");
            key(&mut client, schema, prefix, "till", "event = true");
        }
        client.batch_execute(spoil).unwrap();
        let report = database.run_script(SCRIPT, &["dry_run=off"]).success();
        assert!(report.contains(why) && report.contains("zoo|1|0|0|1"), "{spoil}: {report}");
        assert_lines(&report, &["demo|1|1|0|0", "zoo.rest_framework_api_key_apikey|1|0|0|1|"]);
    }
}

/// Those of scanners and tills, and whatever stands in a schema that is nobody's.
#[test]
fn every_table_of_keys_is_accounted_for() {
    let database = Database::new();
    let mut client = database.superuser();
    platform(&mut client, &["demo", "next"]);
    for (schema, prefix) in [("demo", "AAAAAAAA"), ("next", "BBBBBBBB")] {
        venue(&mut client, schema, &MIDDLE, "");
        key(&mut client, schema, prefix, "till", "event = true");
    }
    client
        .batch_execute(
            "CREATE SCHEMA gone;
             CREATE TABLE gone.rest_framework_api_key_apikey AS TABLE demo.rest_framework_api_key_apikey;
             CREATE TABLE demo.\"BaseBillet_laboutikapikey\" (LIKE demo.rest_framework_api_key_apikey);
             CREATE TABLE demo.\"BaseBillet_scannerapikey\" (LIKE demo.rest_framework_api_key_apikey);
             INSERT INTO demo.\"BaseBillet_scannerapikey\"
             SELECT 'SSSSSSSS.old', 'SSSSSSSS', hashed_key, created, 'door', revoked, expiry_date
               FROM demo.rest_framework_api_key_apikey",
        )
        .unwrap();
    let scanner = r#"'demo."BaseBillet_scannerapikey"' -v tenant='demo'"#;
    let report = database.run_script(SCRIPT, &["dry_run=off", "tenants=demo"]).success();
    assert_lines(
        &report,
        &[
            &format!(
                "demo.\"BaseBillet_scannerapikey\"|1|0|0|1|Nothing says what its keys may do. Do you? django.sql with -v table={scanner} -v auth=…"
            ),
            "demo.\"BaseBillet_laboutikapikey\"|0|0|0|0|",
            "demo.rest_framework_api_key_apikey|1|1|0|0|\n",
            "gone.rest_framework_api_key_apikey|1|0|1|0|No tenant has this schema",
            "next.rest_framework_api_key_apikey|1|0|0|1|Its tenant is not asked for",
        ],
    );
    // As the remark says.
    let django = SCRIPT.replace("tibillet", "django");
    let table = "table=demo.\"BaseBillet_scannerapikey\"";
    let arguments = [
        "-X",
        "-f",
        &django,
        "-v",
        table,
        "-v",
        "tenant=demo",
        "-v",
        "auth=scan",
        "-v",
        "dry_run=off",
    ];
    database.client_program("psql", &arguments).success();
    assert_lines(
        &database.run_script(SCRIPT, &["dry_run=off"]).success(),
        &[
            "demo.\"BaseBillet_scannerapikey\"|1|0|1|0|",
            "demo.rest_framework_api_key_apikey|1|0|1|0|\n",
            "next.rest_framework_api_key_apikey|1|1|0|0|\n",
        ],
    );
}

/// As `import_django` has it, in the table of rights.
#[test]
fn no_function_of_a_tables_owner_is_run() {
    let database = Database::new();
    let mut client = database.superuser();
    platform(&mut client, &["demo"]);
    client
        .batch_execute(
            "CREATE SCHEMA eve;
             CREATE TABLE eve.fooled (by text);
             CREATE TYPE eve.trick AS ENUM ('a');
             CREATE FUNCTION eve.to_json(eve.trick) RETURNS json LANGUAGE plpgsql AS
                 $$BEGIN INSERT INTO eve.fooled VALUES (current_user); RETURN '1'; END$$;
             CREATE CAST (eve.trick AS json) WITH FUNCTION eve.to_json(eve.trick)",
        )
        .unwrap();
    venue(&mut client, "demo", &MIDDLE, ", one eve.trick");
    key(&mut client, "demo", "AAAAAAAA", "till", "event = true, one = 'a'");
    assert_lines(&database.run_script(SCRIPT, &["dry_run=off"]).success(), &["all|1|1|0|0"]);
    assert_eq!(one(&mut client, "SELECT count(*) FROM eve.fooled").as_deref(), Some("0"));
}

#[test]
fn elsewhere_it_says_that_this_is_not_tibillet() {
    let database = Database::new();
    let output = database.run_script(SCRIPT, &["dry_run=off"]);
    assert_eq!(output.code, Some(3));
    assert!(output.stderr.contains("Is this TiBillet's database?"), "{}", output.stderr);
}

/// Some versions may keep the address as text; the script does not depend on the type.
#[test]
fn an_address_that_is_none_stops_its_key_alone() {
    let database = Database::new();
    let mut client = database.superuser();
    platform(&mut client, &["demo"]);
    venue(&mut client, "demo", &MIDDLE, "");
    client
        .batch_execute("ALTER TABLE demo.\"BaseBillet_externalapikey\" ALTER ip TYPE text")
        .unwrap();
    key(&mut client, "demo", "AAAAAAAA", "a", "ip = 'localhost'");
    key(&mut client, "demo", "BBBBBBBB", "b", "ip = '::ffff:192.0.2.1'");
    key(&mut client, "demo", "CCCCCCCC", "c", "ip = ''");
    let report = database.run_script(SCRIPT, &["dry_run=off"]).success();
    assert_lines(
        &report,
        &["not imported: invalid input syntax for type inet: \"localhost\"", "all|3|2|0|1"],
    );
    let ips = "SELECT string_agg(coalesce(allowed_ips::text, 'any'), ' ' ORDER BY prefix) FROM apikey.key";
    assert_eq!(one(&mut client, ips).as_deref(), Some("{::ffff:192.0.2.1} any"));
}

/// What `apikey.scope` says goes for what is moved in, too.
#[test]
fn a_scope_that_is_not_known_stops_its_key() {
    let database = Database::new();
    let mut client = database.superuser();
    platform(&mut client, &["demo"]);
    venue(&mut client, "demo", &["event"], "");
    key(&mut client, "demo", "AAAAAAAA", "a", "event = true");
    client.batch_execute("INSERT INTO apikey.scope VALUES ('event', 'events')").unwrap();
    let report = database.run_script(SCRIPT, &["dry_run=off"]).success();
    assert_lines(&report, &["not imported: auth names a scope that is not known: 'postaladdress'"]);
    client.batch_execute("INSERT INTO apikey.scope VALUES ('postaladdress', 'addresses')").unwrap();
    assert_lines(&database.run_script(SCRIPT, &["dry_run=off"]).success(), &["all|1|1|0|0"]);
}

#[test]
fn keys_that_a_real_django_made_in_each_venue() {
    let database = Database::new();
    let mut client = database.superuser();
    platform(&mut client, &["public", "here", "there"]);
    let mut keys = Vec::new();
    for (schema, django) in [("here", Django::Current), ("there", Django::Two)] {
        client.batch_execute(&format!("CREATE SCHEMA {schema}")).unwrap();
        let made = django.keys(&database, schema, None);
        permissions(&mut client, schema, &NEWEST, ", gift_asset_id uuid");
        client
            .batch_execute(&format!(
                "INSERT INTO {schema}.\"BaseBillet_externalapikey\" (name, key_id, user_id, event)
                 SELECT name || ' ' || prefix, id, '{ADA}', true FROM {schema}.rest_framework_api_key_apikey"
            ))
            .unwrap();
        keys.extend(made.into_iter().map(|(label, key)| (schema, label, key)));
    }
    assert_lines(&database.run_script(SCRIPT, &["dry_run=off"]).success(), &["all|10|10|0|0"]);
    for (schema, label, key) in &keys {
        for tenant in ["here", "there", ""] {
            let sql = format!(
                "SELECT apikey_check('{key}', NULL, '{tenant}') -> 'auth' ->> 'postaladdress'"
            );
            let valid = tenant == *schema && !["revoked", "expired"].contains(&&**label);
            assert_eq!(
                one(&mut client, &sql).as_deref(),
                valid.then_some("true"),
                "{label} {tenant}"
            );
        }
    }
}
