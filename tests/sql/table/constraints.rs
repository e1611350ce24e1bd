//! A wrong row is impossible, whoever writes it.

use apikey_core::Auth;
use apikey_tests::{Database, Refusal, one, refused};
use postgres::Client;
use std::collections::BTreeSet;

/// Updates that a constraint must refuse.
const WRONG: &[(&str, &str)] = &[
    ("name_not_blank", "name = E' \\n'"),
    ("name_not_blank", "name = repeat('n', 201)"),
    ("owner_not_blank", "owner = ''"),
    ("owner_not_blank", "owner = repeat('n', 201)"),
    ("verifier_shape", "verifier = ''"),
    ("verifier_shape", "verifier = 'secret'"),
    ("verifier_shape", "verifier = verifier || ' '"),
    ("verifier_shape", "verifier = verifier || E'\\n'"),
    ("verifier_shape", "verifier = replace(verifier, 'argon2id', 'argon2i')"),
    ("verifier_shape", "verifier = replace(verifier, 'm=1024', 'm=1000000')"),
    ("verifier_shape", "verifier = replace(verifier, 'm=1024', 'm=')"),
    ("verifier_shape", "verifier = 'sha512$$' || repeat('A', 128)"),
    ("verifier_shape", "verifier = 'sha512$salt$' || repeat('a', 128)"),
    ("verifier_shape", "verifier = 'pbkdf2_sha256$10000000000$salt$' || repeat('A', 43) || '='"),
    ("verifier_shape", "verifier = 'argon2' || verifier || 'x y'"),
    ("tenant_shape", "tenant = ' venue'"),
    ("tenant_shape", "tenant = E'venue\\n'"),
    ("tenant_shape", "tenant = repeat('t', 201)"),
    ("metadata_is_object", "metadata = '[]'"),
    ("metadata_is_object", "metadata = jsonb_build_object('k', repeat('v', 8192))"),
    ("replaced_by_shape", "replaced_by = prefix"),
    ("replaced_by_shape", "replaced_by = 'nobody'"),
    ("auth_shape", "auth = '1'"),
    ("allowed_ips_not_empty", "allowed_ips = '{}'"),
    ("allowed_ips_not_empty", "allowed_ips = '{10.0.0.1,NULL}'"),
    ("allowed_ips_not_empty", "allowed_ips = '{{10.0.0.1},{10.0.0.2}}'"),
    ("allowed_ips_not_empty", "allowed_ips = array_fill('10.0.0.1'::inet, '{65}')"),
    ("tag_of_argon2id", "verifier = 'sha512$$' || repeat('a', 128), tag = 1"),
    ("expires_after_creation", "expires_at = created_at - interval '1 second'"),
    ("disabled_after_creation", "disabled_at = created_at - interval '1 second'"),
    ("revoked_after_creation", "created_at = 'infinity', revoked_at = NULL"),
    ("revoked_details", "revoke_reason = 'no reason'"),
    ("revoked_details", "revoked_by = 'me'"),
];

/// What the comment on a rule says, which is the hint of an error.
fn comment(client: &mut Client, rule: &str) -> String {
    let query = format!(
        "SELECT obj_description(oid, 'pg_constraint') FROM pg_constraint
          WHERE conname = '{rule}' AND connamespace = 'apikey'::regnamespace"
    );
    one(client, &query).unwrap()
}

/// It says which rule, and what that is, and shows nothing of the row.
#[track_caller]
fn assert_explained(client: &mut Client, refusal: &Refusal, rule: &str) {
    assert_eq!(refusal.sqlstate(), "23514", "{}", refusal.whole());
    assert!(refusal.message().contains(&format!("\"{rule}\"")), "{}", refusal.message());
    assert_eq!(refusal.constraint(), rule);
    assert_eq!(refusal.hint(), comment(client, rule));
    assert_shows_nothing(refusal);
}

#[track_caller]
fn assert_shows_nothing(refusal: &Refusal) {
    assert_eq!(refusal.detail(), "", "{}", refusal.whole());
    assert!(!refusal.whole().contains("argon2id$v"), "{}", refusal.whole());
}

#[test]
fn every_constraint_refuses_its_wrong_rows() {
    let database = Database::new();
    let mut client = database.superuser();
    database.key("'event'");
    let mut seen = BTreeSet::from(["prefix_shape", "revoked_after_creation"]);
    for (constraint, change) in WRONG.iter().filter(|(name, _)| *name != "revoked_after_creation") {
        let refusal = refused(client.batch_execute(&format!("UPDATE apikey.key SET {change}")));
        assert_explained(&mut client, &refusal, constraint);
        seen.insert(constraint);
    }
    let insert = |prefix: &str, revoked_at: &str| {
        format!(
            "INSERT INTO apikey.key (prefix, verifier, name, auth, revoked_at, revoked_by)
             SELECT '{prefix}', verifier, 'other', auth, {revoked_at}, session_user FROM apikey.key"
        )
    };
    for prefix in ["", "Has+Plus", "TooLong12", "Has.Dot1", "Has Spac", "Non\u{e9}Asci"] {
        let refusal = refused(client.batch_execute(&insert(prefix, "now()")));
        assert_explained(&mut client, &refusal, "prefix_shape");
    }
    let refusal = refused(client.batch_execute(&insert("Goodpref", "'2020-01-01'")));
    assert_explained(&mut client, &refusal, "revoked_after_creation");

    let all = one(
        &mut client,
        "SELECT string_agg(conname, ' ' ORDER BY conname COLLATE \"C\") FROM pg_constraint
          WHERE conrelid = 'apikey.key'::regclass AND contype = 'c'",
    );
    assert_eq!(all.unwrap(), seen.into_iter().collect::<Vec<_>>().join(" "));
}

/// A rule is explained to whoever may write, by whichever statement.
#[test]
fn a_broken_rule_is_explained_by_every_way_to_a_row() {
    let mut database = Database::new();
    let writer = database.login("writer", "");
    let key = database.key("'event'");
    let mut client = database.superuser();
    let grant = "GRANT USAGE ON SCHEMA apikey TO ROLE; GRANT SELECT (prefix, name), UPDATE (name) ON apikey.key TO ROLE;
                 GRANT EXECUTE ON FUNCTION apikey.refuse_row TO ROLE";
    client.batch_execute(&grant.replace("ROLE", &writer.role)).unwrap();
    let mut theirs = database.connect(&writer);
    theirs.batch_execute("UPDATE apikey.key SET name = 'till'").unwrap();
    for statement in [
        "UPDATE apikey.key SET name = ''",
        "DO $$ BEGIN UPDATE apikey.key SET name = ''; END $$",
        "PREPARE p (text) AS UPDATE apikey.key SET name = $1; EXECUTE p (' ')",
    ] {
        let refusal = refused(theirs.batch_execute(statement));
        assert_explained(&mut client, &refusal, "name_not_blank");
    }
    let verifier = one(&mut client, "SELECT verifier FROM apikey.key").unwrap();
    let insert = "INSERT INTO apikey.key (prefix, verifier, name, auth) SELECT prefix, verifier, '', auth FROM apikey.key";
    for statement in [
        insert.to_owned(),
        format!("{insert} ON CONFLICT DO NOTHING"),
        // As logical replication does it.
        format!("SET session_replication_role = replica; {insert}"),
        "RESET session_replication_role; UPDATE apikey.key SET name = ''".to_owned(),
    ] {
        let refusal = refused(client.batch_execute(&statement));
        assert_explained(&mut database.superuser(), &refusal, "name_not_blank");
    }
    let copy = "COPY apikey.key (prefix, verifier, name, auth) FROM STDIN";
    let copied = client.copy_in(copy).and_then(|mut rows| {
        let row = format!("Goodpref\t{verifier}\t \t\"event\"\n");
        std::io::Write::write_all(&mut rows, row.as_bytes()).unwrap();
        rows.finish()
    });
    let refusal = refused(copied);
    assert_eq!((refusal.constraint(), refusal.detail()), ("name_not_blank", ""));
    assert_eq!(refusal.hint(), comment(&mut client, "name_not_blank"));
    for (rule, statement) in [
        ("scope_name_shape", "INSERT INTO apikey.scope VALUES ('a b', 'two words')"),
        ("scope_description_not_blank", "INSERT INTO apikey.scope VALUES ('a', ' ')"),
        (
            "event_action",
            "INSERT INTO apikey.event (action, prefix, changed) VALUES ('x', 'Goodpref', '{}')",
        ),
        (
            "usage_counts",
            "INSERT INTO apikey.usage VALUES ('Goodpref', -1, 0, NULL, NULL, 0, 0, 0)",
        ),
        (
            "usage_address_of_a_use",
            "INSERT INTO apikey.usage VALUES ('Goodpref', 0, 0, NULL, '::1', 0, 0, 0)",
        ),
    ] {
        let refusal = refused(client.batch_execute(statement));
        assert_explained(&mut client, &refusal, rule);
    }
    assert!(one(&mut client, &format!("SELECT apikey_check('{key}', NULL)")).is_some());
}

#[test]
fn a_missing_value_is_named_and_no_row_is_shown() {
    let database = Database::new();
    let mut client = database.superuser();
    database.key("'event'");
    let columns = "SELECT string_agg(attname, ' ') FROM pg_attribute WHERE attrelid = 'apikey.key'::regclass AND attnum > 0 AND attnotnull";
    let columns = one(&mut client, columns).unwrap();
    assert!(columns.split(' ').count() > 8, "{columns}");
    for column in columns.split(' ') {
        for role in ["origin", "replica"] {
            let update = format!(
                "SET session_replication_role = {role}; UPDATE apikey.key SET {column} = NULL"
            );
            let refusal = refused(client.batch_execute(&update));
            let expected = if column == "prefix" { "55000" } else { "23502" };
            assert_eq!(refusal.sqlstate(), expected, "{}", refusal.whole());
            assert!(refusal.message().contains(column) && !refusal.hint().is_empty());
            assert_shows_nothing(&refusal);
        }
    }
    client.batch_execute("RESET session_replication_role").unwrap();
    let refusal = refused(client.batch_execute("INSERT INTO apikey.key (name) VALUES ('till')"));
    assert_eq!((refusal.sqlstate(), refusal.hint()), ("23502", "Give a value for prefix."));
    assert_shows_nothing(&refusal);
    // A trigger of somebody else's may fill it in.
    client
        .batch_execute(
            "CREATE FUNCTION fill_in() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN NEW.metadata := coalesce(NEW.metadata, '{}'); RETURN NEW; END $$;
             CREATE TRIGGER fill_in BEFORE UPDATE ON apikey.key FOR EACH ROW EXECUTE FUNCTION fill_in();
             UPDATE apikey.key SET metadata = NULL",
        )
        .unwrap();
}

#[test]
fn prefixes_and_live_names_are_unique() {
    let database = Database::new();
    let mut client = database.superuser();
    database.key("'event'");
    for (prefix, name, constraint) in
        [("prefix", "'other'", "key_pkey"), ("'Goodpref'", "name", "key_tenant_owner_name_live")]
    {
        let refusal = refused(client.batch_execute(&format!(
            "INSERT INTO apikey.key (prefix, verifier, name, auth) SELECT {prefix}, verifier, {name}, auth FROM apikey.key"
        )));
        assert_eq!(refusal.sqlstate(), "23505");
        assert!(refusal.message().contains(constraint), "{}", refusal.message());
    }
    // Case counts: COLLATE "C".
    client
        .batch_execute(
            "INSERT INTO apikey.key (prefix, verifier, name, auth)
             SELECT given, verifier, given, auth FROM apikey.key, unnest('{Goodpref,GOODPREF,goodpref}'::text[]) AS given",
        )
        .unwrap();
}

#[test]
fn a_prefix_stays() {
    let database = Database::new();
    database.key("'event'");
    let mut client = database.superuser();
    let refusal = refused(client.batch_execute("UPDATE apikey.key SET prefix = 'Goodpref'"));
    assert_eq!(refusal.sqlstate(), "55000");
    assert!(refusal.hint().contains("apikey_create"));
}

/// The constraint takes no auth that the core cannot read, and refuses, of what the core reads,
/// only names out of bounds and lists too short or too long.
#[test]
fn the_core_reads_every_auth_that_the_table_takes() {
    let database = Database::new();
    let mut client = database.superuser();
    database.key("'event'");
    let members = |count: u32| {
        let each: Vec<_> = (0..count).map(|index| format!("\"s{index}\":false")).collect();
        format!("{{{}}}", each.join(","))
    };
    let list = |count: usize| format!("[{}]", vec!["\"event\""; count].join(","));
    let taken = [
        r#""event""#.to_owned(),
        r#""a:b/c.d-e_F9""#.to_owned(),
        r#"["event"]"#.to_owned(),
        r#"{"event":true,"ticket":false}"#.to_owned(),
        members(64),
        list(64),
        format!("\"{}\"", "s".repeat(64)),
    ];
    let refused_by_both = [
        "null",
        "true",
        "7",
        "[1]",
        "[null]",
        "[[\"event\"]]",
        "[{}]",
        r#"{"event":"true"}"#,
        r#"{"event":null}"#,
        r#"{"event":{}}"#,
        r#"["event",7]"#,
    ]
    .map(str::to_owned);
    let out_of_bounds = [
        "\"\"".to_owned(),
        "[]".to_owned(),
        "{}".to_owned(),
        members(65),
        list(65),
        r#""a b""#.to_owned(),
        r#""event\n""#.to_owned(),
        r#"["event","b c"]"#.to_owned(),
        r#"{"":true}"#.to_owned(),
        r#"{"a b":true}"#.to_owned(),
        r#""é""#.to_owned(),
        format!("\"{}\"", "s".repeat(65)),
    ];
    for (cases, by_table, by_core) in [
        (&taken[..], true, true),
        (&refused_by_both[..], false, false),
        (&out_of_bounds[..], false, true),
    ] {
        for auth in cases {
            let update = client.execute("UPDATE apikey.key SET auth = $1::text::jsonb", &[auth]);
            assert_eq!(update.is_ok(), by_table, "{auth}");
            assert_eq!(auth.parse::<Auth>().is_ok(), by_core, "{auth}");
        }
    }
}
