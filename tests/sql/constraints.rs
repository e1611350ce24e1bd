//! A wrong row is impossible, whoever writes it.

use apikey_core::Auth;
use apikey_tests::{Database, one, refused};
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

#[test]
fn every_constraint_refuses_its_wrong_rows() {
    let database = Database::new();
    let mut client = database.superuser();
    database.key("'event'");
    let mut seen = BTreeSet::from(["prefix_shape", "revoked_after_creation"]);
    for (constraint, change) in WRONG.iter().filter(|(name, _)| *name != "revoked_after_creation") {
        let refusal = refused(client.batch_execute(&format!("UPDATE apikey.key SET {change}")));
        assert_eq!(refusal.sqlstate(), "23514", "{change}: {}", refusal.message());
        assert!(refusal.message().contains(&format!("\"{constraint}\"")), "{}", refusal.message());
        seen.insert(constraint);
    }
    let insert = |prefix: &str, revoked_at: &str| {
        format!(
            "INSERT INTO apikey.key (prefix, verifier, name, auth, revoked_at, revoked_by)
             SELECT '{prefix}', verifier, 'other', auth, {revoked_at}, session_user FROM apikey.key"
        )
    };
    for prefix in ["", "Short12", "TooLong12", "Has.Dot1", "Has Spac", "Non\u{e9}Asci"] {
        let refusal = refused(client.batch_execute(&insert(prefix, "now()")));
        assert!(refusal.message().contains("\"prefix_shape\""), "{}", refusal.message());
    }
    let refusal = refused(client.batch_execute(&insert("Goodpref", "'2020-01-01'")));
    assert!(refusal.message().contains("\"revoked_after_creation\""), "{}", refusal.message());

    let all = one(
        &mut client,
        "SELECT string_agg(conname, ' ' ORDER BY conname COLLATE \"C\") FROM pg_constraint
          WHERE conrelid = 'apikey.key'::regclass AND contype = 'c'",
    );
    assert_eq!(all.unwrap(), seen.into_iter().collect::<Vec<_>>().join(" "));
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

/// The constraint takes no auth that the core cannot read, and refuses, of what the core reads, only
/// names out of bounds and lists too short or too long.
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
