//! Who may do what.

use apikey_tests::{Database, Login, one, refused};

const CREATE_LEVEL: &str =
    "apikey_create(text, text, inet, inet[], text, timestamptz, text, jsonb)";
const CREATE_JSON: &str =
    "apikey_create(text, jsonb, inet, inet[], text, timestamptz, text, jsonb)";
const CREATE_LIST: &str =
    "apikey_create(text, text[], inet, inet[], text, timestamptz, text, jsonb)";
const REVOKE: &str = "apikey_revoke(text, text)";
const CHECK: &str = "apikey_check(text, inet)";
const CHECK_IN_TENANT: &str = "apikey_check(text, inet, text)";
const AUTHORIZE: &str = "apikey_authorize(text, inet, text, text)";
const LOGIN: &str = "apikey_login(text, inet, text)";
const CURRENT: &str = "apikey_current()";
const GRANTED: &str = "apikey_granted(text)";
const ROTATE: &str = "apikey_rotate(text, interval)";
const DISABLE: &str = "apikey_disable(text)";
const ENABLE: &str = "apikey_enable(text)";
const EXPLAIN: &str = "apikey_explain(text, inet, text)";
const PRUNE: &str = "apikey_prune_events(interval)";

/// Every way in: what it needs to be granted, and a statement that uses it.
const WAYS: &[(&str, &str)] = &[
    (CREATE_LEVEL, "SELECT apikey_create('by the level form', 'event')"),
    (CREATE_JSON, "SELECT apikey_create('by the json form', '[\"event\"]'::jsonb)"),
    (CREATE_LIST, "SELECT apikey_create('by the list form', ARRAY['event'])"),
    (ROTATE, "SELECT apikey_rotate('KEY', '1 day')"),
    (REVOKE, "SELECT apikey_revoke('KEY')"),
    (CHECK, "SELECT apikey_check('KEY', NULL)"),
    (CHECK_IN_TENANT, "SELECT apikey_check('KEY', NULL, '')"),
    (AUTHORIZE, "SELECT apikey_authorize('KEY', NULL)"),
    (LOGIN, "SELECT apikey_login('KEY', NULL)"),
    (CURRENT, "SELECT apikey_current()"),
    (GRANTED, "SELECT apikey_granted('event')"),
    (DISABLE, "SELECT apikey_disable('KEY')"),
    (ENABLE, "SELECT apikey_enable('KEY')"),
    (EXPLAIN, "SELECT apikey_explain('KEY', NULL)"),
    (PRUNE, "SELECT apikey_prune_events('1 year')"),
    ("", "SELECT * FROM apikeys"),
    ("", "SELECT * FROM apikey_events"),
    ("", "SELECT * FROM apikey.event"),
    ("", "INSERT INTO apikey.event (action, prefix, changed) VALUES ('create', 'Map0K71T', '{}')"),
    ("", "UPDATE apikey.event SET at = now()"),
    ("", "DELETE FROM apikey.event"),
    ("", "TRUNCATE apikey.event"),
    ("", "SELECT * FROM apikey.scope"),
    ("", "INSERT INTO apikey.scope VALUES ('event', 'anything')"),
    ("", "SELECT * FROM apikey.usage"),
    ("", "UPDATE apikey.usage SET accepted = 0"),
    ("", "SELECT * FROM apikey.usage_in_memory()"),
    ("", "SELECT apikey.ended(NULL, NULL, NULL)"),
    ("", "SELECT * FROM apikey.key"),
    ("", "SELECT verifier FROM apikey.key"),
    ("", "INSERT INTO apikey.key DEFAULT VALUES"),
    ("", "UPDATE apikey.key SET revoked_at = NULL"),
    ("", "DELETE FROM apikey.key"),
    ("", "TRUNCATE apikey.key"),
    ("", "COPY apikey.key TO STDOUT"),
    ("", "SELECT apikey.generate_key()"),
    ("", "SELECT apikey.prefix_of('KEY')"),
    ("", "SELECT apikey.draw_key()"),
    ("", "SELECT apikey.make_verifier('KEY')"),
    ("", "SELECT apikey.matches('KEY', '$argon2id$v=19$')"),
    ("", "SELECT apikey.grants('\"event\"', 'event')"),
    ("", "SELECT apikey.check_key('KEY', NULL, '')"),
    ("", "SELECT apikey.check_key_at_once('KEY', NULL, '')"),
    ("", "SELECT apikey.authorize_key('KEY', NULL, NULL, '')"),
    ("", "SELECT apikey.authorize_key_at_once('KEY', NULL, NULL, '')"),
    ("", "SELECT apikey.create_key('a', '[\"event\"]', NULL, NULL, NULL, NULL, NULL, NULL)"),
    ("", "SELECT apikey.rotate_key('KEY', '1 day')"),
    ("", "SELECT apikey.disable_key('KEY')"),
    ("", "SELECT apikey.enable_key('KEY')"),
    ("", "SELECT apikey.revoke_key('KEY', NULL)"),
    ("", "SELECT apikey.explain_key('KEY', NULL, '')"),
    ("", "SELECT apikey.find_prefix('KEY')"),
    ("", "SELECT apikey.set_identity('Map0K71T')"),
    ("", "SELECT apikey.identity()"),
    ("", "CREATE TABLE apikey.mine ()"),
];

fn grant(database: &Database, function: &str, to: &Login) {
    let statement = format!("GRANT EXECUTE ON FUNCTION {function} TO {}", to.role);
    database.superuser().batch_execute(&statement).unwrap();
}

#[test]
fn a_stranger_may_do_nothing() {
    let mut database = Database::new();
    let stranger = database.login("stranger", "");
    let key = database.key("'event'");
    let mut client = database.connect(&stranger);
    for (_, statement) in WAYS {
        let refusal = refused(client.batch_execute(&statement.replace("KEY", &key)));
        assert_eq!(refusal.sqlstate(), "42501", "{statement}: {}", refusal.message());
    }
}

#[test]
fn execute_on_one_function_gives_that_function_alone() {
    let mut database = Database::new();
    for (number, granted) in
        WAYS.iter().filter_map(|(needed, _)| (!needed.is_empty()).then_some(*needed)).enumerate()
    {
        let role = database.login(&format!("role{number}"), "");
        grant(&database, granted, &role);
        let key = database.key("'event'");
        let mut client = database.connect(&role);
        for (needed, statement) in WAYS {
            let result = client.batch_execute(&statement.replace("KEY", &key));
            if *needed == granted {
                result.unwrap_or_else(|error| panic!("{granted}: {statement}: {error}"));
            } else {
                assert_eq!(refused(result).sqlstate(), "42501", "{granted}: {statement}");
            }
        }
        // Undone for the next one, whose keys have the same names.
        database.superuser().batch_execute("DELETE FROM apikey.key").unwrap();
    }
}

/// Who has anything on the extension's objects, but their owner.
const GRANTED_AT_ALL: &str = "
    WITH member AS (
        SELECT d.classid, d.objid
          FROM pg_depend AS d JOIN pg_extension AS e ON d.refobjid = e.oid AND e.extname = 'apikey'
         WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
    ), acl AS (
        SELECT classid, objid, proowner AS owner, coalesce(proacl, acldefault('f', proowner)) AS acl
          FROM member JOIN pg_proc AS o ON classid = 'pg_proc'::regclass AND objid = o.oid
        UNION ALL
        SELECT classid, objid, relowner, coalesce(relacl, acldefault('r', relowner))
          FROM member JOIN pg_class AS o ON classid = 'pg_class'::regclass AND objid = o.oid AND relkind IN ('r', 'v')
        UNION ALL
        SELECT classid, objid, nspowner, coalesce(nspacl, acldefault('n', nspowner))
          FROM member JOIN pg_namespace AS o ON classid = 'pg_namespace'::regclass AND objid = o.oid
        UNION ALL
        SELECT classid, objid, typowner, coalesce(typacl, acldefault('T', typowner))
          FROM member JOIN pg_type AS o ON classid = 'pg_type'::regclass AND objid = o.oid
          JOIN pg_class AS c ON c.oid = typrelid AND c.relkind = 'c'
    )
    SELECT count(DISTINCT objid) || ' objects, granted: '
           || coalesce(string_agg(pg_describe_object(classid, objid, 0), '; ') FILTER (WHERE a.grantee <> owner), 'none')
      FROM acl CROSS JOIN aclexplode(acl) AS a";

/// Not even where default privileges would give everything away.
#[test]
fn a_fresh_install_grants_nothing_to_anybody() {
    let mut database = Database::without_extension(apikey_tests::Cluster::shared());
    let friend = database.login("friend", "");
    let mut client = database.superuser();
    for (kind, privilege) in
        [("TABLES", "ALL"), ("FUNCTIONS", "ALL"), ("SCHEMAS", "ALL"), ("TYPES", "ALL")]
    {
        for grantee in [&*friend.role, "PUBLIC"] {
            let statement =
                format!("ALTER DEFAULT PRIVILEGES GRANT {privilege} ON {kind} TO {grantee}");
            client.batch_execute(&statement).unwrap();
        }
    }
    client.batch_execute("CREATE EXTENSION apikey").unwrap();
    let expected = "61 objects, granted: none";
    assert_eq!(one(&mut client, GRANTED_AT_ALL).as_deref(), Some(expected));
    client.batch_execute("GRANT SELECT ON apikeys TO PUBLIC").unwrap();
    assert!(one(&mut client, GRANTED_AT_ALL).unwrap().contains("view apikeys"));
    for kind in ["TABLES", "FUNCTIONS", "SCHEMAS", "TYPES"] {
        for grantee in [&*friend.role, "PUBLIC"] {
            let statement = format!("ALTER DEFAULT PRIVILEGES REVOKE ALL ON {kind} FROM {grantee}");
            client.batch_execute(&statement).unwrap();
        }
    }
}

#[test]
fn functions_that_run_with_the_owners_rights_pin_their_search_path() {
    let database = Database::new();
    let loose = one(
        &mut database.superuser(),
        "SELECT count(*) || ' functions, loose: '
                || coalesce(string_agg(p.oid::regprocedure::text, '; ')
                       FILTER (WHERE ('search_path=pg_catalog, pg_temp' = ANY (proconfig)) IS NOT TRUE), 'none')
           FROM pg_proc AS p WHERE prosecdef",
    );
    assert_eq!(loose.as_deref(), Some("23 functions, loose: none"));
}

/// The checker puts objects of its own, which say yes to everything, before those that a check
/// needs.
#[test]
fn a_checker_cannot_slip_its_own_objects_into_a_check() {
    let mut database = Database::new();
    let checker = database.checker();
    let key = database.key("'event', '10.0.0.1'");
    let revoked = database.key("'event'");
    let mut owner = database.superuser();
    one(&mut owner, &format!("SELECT apikey_revoke('{revoked}')"));
    owner.batch_execute(&format!("CREATE SCHEMA evil AUTHORIZATION {}", checker.role)).unwrap();

    let mut client = database.connect(&checker);
    client
        .batch_execute(
            "CREATE FUNCTION evil.yes(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT true';
             CREATE OPERATOR evil.= (leftarg = text, rightarg = text, function = evil.yes);
             CREATE FUNCTION evil.yes(timestamptz, timestamptz) RETURNS boolean LANGUAGE sql AS 'SELECT true';
             CREATE OPERATOR evil.> (leftarg = timestamptz, rightarg = timestamptz, function = evil.yes);
             CREATE FUNCTION evil.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS $$SELECT '-infinity'::timestamptz$$;
             CREATE TEMP TABLE key (prefix text, verifier text, auth jsonb, allowed_ips inet[], revoked_at timestamptz);
             SET search_path = evil, pg_temp, pg_catalog, public",
        )
        .unwrap();
    // The traps are set: they work outside of the check.
    assert_eq!(one(&mut client, "SELECT 'a'::text = 'b'::text").as_deref(), Some("t"));
    assert_eq!(one(&mut client, &format!("SELECT apikey_check('{revoked}', NULL)")), None);
    let other = key.replace(&key[..4], "Abcd");
    assert_eq!(one(&mut client, &format!("SELECT apikey_check('{other}', NULL)")), None);
    assert_eq!(
        one(&mut client, &format!("SELECT apikey_check('{key}', '10.0.0.2')")).as_deref(),
        Some(r#"{"auth":"event","ip_request":"10.0.0.2","ip_valid":false}"#)
    );
}

/// Neither SET ROLE nor a setting changes who is noted as the creator and the revoker.
#[test]
fn who_did_it_is_who_logged_in() {
    let mut database = Database::new();
    let group = database.login("group", "");
    let member = database.login("member", &format!("IN ROLE {}", group.role));
    for function in [CREATE_LEVEL, REVOKE] {
        grant(&database, function, &group);
    }
    let mut client = database.connect(&member);
    client.batch_execute(&format!("SET ROLE {}", group.role)).unwrap();
    let key = one(&mut client, "SELECT apikey_create('till', 'event')").unwrap();
    one(&mut client, &format!("SELECT apikey_revoke('{key}')"));
    let row =
        one(&mut database.superuser(), "SELECT (owner, created_by, revoked_by)::text FROM apikeys");
    assert_eq!(row.unwrap(), format!("({0},{0},{0})", member.role));
}

#[test]
fn only_a_superuser_installs_the_extension() {
    let mut database = Database::new();
    let other = Database::without_extension(apikey_tests::Cluster::shared());
    let stranger = database.login("stranger", "");
    let grant = format!("GRANT CREATE ON DATABASE {} TO {}", other.name, stranger.role);
    other.superuser().batch_execute(&grant).unwrap();
    let refusal = refused(other.connect(&stranger).batch_execute("CREATE EXTENSION apikey"));
    assert_eq!(refusal.sqlstate(), "42501");
}

#[test]
fn a_database_in_another_encoding_is_refused_with_a_hint() {
    let database = Database::without_extension(apikey_tests::Cluster::shared());
    let latin = format!("{}_latin", database.name);
    let mut client = database.superuser();
    client
        .batch_execute(&format!(
            "CREATE DATABASE {latin} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0"
        ))
        .unwrap();
    let output =
        database.client_program("psql", &["-X", "-d", &latin, "-c", "CREATE EXTENSION apikey"]);
    assert_ne!(output.code, Some(0));
    assert!(output.stderr.contains("UTF8") && output.stderr.contains("HINT"), "{}", output.stderr);
    client.batch_execute(&format!("DROP DATABASE {latin}")).unwrap();
}
