//! `ALTER EXTENSION apikey UPDATE` keeps keys and grants, and ends where a fresh install begins.

mod catalog;

use apikey_tests::{Cluster, Database, one};
use catalog::{catalog, differences};
use postgres::Client;

const UPDATE: &str = "ALTER EXTENSION apikey UPDATE";

const OLD_CREATE_LEVEL: &str = "apikey_create(text, text, inet, inet[], text, timestamptz)";
const OLD_CREATE_JSON: &str = "apikey_create(text, jsonb, inet, inet[], text, timestamptz)";
const CREATE_LEVEL: &str =
    "function apikey_create(text,text,inet,inet[],text,timestamp with time zone,text,jsonb)";
const CREATE_JSON: &str =
    "function apikey_create(text,jsonb,inet,inet[],text,timestamp with time zone,text,jsonb)";

fn of_version_0_1_0(schema: &str) -> Database {
    let database = Database::without_extension(Cluster::shared());
    let create = format!(
        "CREATE SCHEMA IF NOT EXISTS \"{schema}\"; CREATE EXTENSION apikey SCHEMA \"{schema}\" VERSION '0.1.0'"
    );
    database.superuser().batch_execute(&create).unwrap();
    database
}

fn valid(client: &mut Client, key: &str) -> bool {
    one(client, &format!("SELECT apikey_check('{key}', '10.0.0.1')")).is_some()
}

#[test]
fn keys_of_the_version_before_work_on() {
    let database = of_version_0_1_0("public");
    let mut client = database.superuser();
    let level = database.key("'event', '10.0.0.0/8', owner => 'ada'");
    let object = database.key("'{\"event\":true,\"ticket\":false}'::jsonb");
    let ended: Vec<String> = ["disabled_at", "expires_at", "revoked_at"]
        .into_iter()
        .map(|ends| {
            let key = database.key("'event'");
            let update = format!("UPDATE apikey.key SET {ends} = created_at WHERE prefix = $1");
            client.execute(&update, &[&&key[..8]]).unwrap();
            key
        })
        .collect();
    let rows = "SELECT string_agg((k.*)::text, ' ' ORDER BY k.prefix) FROM
                    (SELECT prefix, verifier, name, owner, auth, allowed_ips, created_at, created_by, expires_at,
                            disabled_at, revoked_at, revoked_by, revoke_reason FROM apikey.key) AS k";
    let before = one(&mut client, rows);
    client.batch_execute(UPDATE).unwrap();

    assert_eq!(one(&mut client, rows), before);
    for (key, auth) in [(&level, r#""event""#), (&object, r#"{"event":true,"ticket":false}"#)] {
        let answer = one(&mut client, &format!("SELECT apikey_check('{key}', '10.0.0.1')"));
        let expected = format!(r#"{{"auth":{auth},"ip_request":"10.0.0.1","ip_valid":true}}"#);
        assert_eq!(answer, Some(expected));
    }
    for key in &ended {
        assert!(!valid(&mut client, key), "{key}");
    }
    // They are keys like any other now.
    let successor = one(&mut client, &format!("SELECT apikey_rotate('{level}', '1 hour')"));
    assert!(valid(&mut client, &level) && valid(&mut client, &successor.unwrap()));
    one(&mut client, &format!("SELECT apikey_revoke('{level}')"));
    assert!(!valid(&mut client, &level));
    let trail = format!(
        "SELECT string_agg(action, ' ' ORDER BY at) FROM apikey_events WHERE prefix = '{}'",
        &level[..8]
    );
    assert_eq!(one(&mut client, &trail).as_deref(), Some("rotate revoke"));
}

#[test]
fn the_catalog_is_that_of_a_fresh_install() {
    // A name that has to be quoted wherever the script uses it.
    let schema = "Key store";
    let upgraded = of_version_0_1_0(schema);
    upgraded.superuser().batch_execute(UPDATE).unwrap();
    let fresh = Database::without_extension(Cluster::shared());
    let create = format!("CREATE SCHEMA \"{schema}\"; CREATE EXTENSION apikey SCHEMA \"{schema}\"");
    fresh.superuser().batch_execute(&create).unwrap();

    let expected = catalog(&mut fresh.superuser());
    let found = differences(&expected, &catalog(&mut upgraded.superuser()));
    assert_eq!(found.len(), 0, "{}", found.join("\n"));
    assert!(expected.iter().any(|line| line.contains("apikey_rotate")), "the catalog is empty");
}

/// What a DBA granted stays, and nobody gets more. It is dumped as well: what a script of an extension
/// grants, Postgres takes for the extension's own, and leaves out.
#[test]
fn grants_are_kept_and_nothing_is_added() {
    let mut database = of_version_0_1_0("public");
    let [manager, checker, newcomer] =
        ["manager", "checker", "newcomer"].map(|name| database.login(name, "").role);
    let mut client = database.superuser();
    let prepare = format!(
        "GRANT EXECUTE ON FUNCTION {OLD_CREATE_LEVEL} TO {manager} WITH GRANT OPTION;
         GRANT EXECUTE ON FUNCTION {OLD_CREATE_JSON}, apikey_revoke TO {manager};
         GRANT SELECT ON apikeys TO {manager};
         GRANT EXECUTE ON FUNCTION apikey_check TO {checker};
         -- It says what happens to objects that are made from now on.
         ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON FUNCTIONS TO {newcomer};
         ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO {newcomer}"
    );
    client.batch_execute(&prepare).unwrap();
    client.batch_execute(UPDATE).unwrap();

    let upgraded = catalog(&mut client);
    let found = differences(&catalog(&mut Database::new().superuser()), &upgraded);
    let more: Vec<_> = found.iter().filter(|line| line.starts_with('+')).collect();
    // Postgres 17 has one more than 14.
    let all_on_a_view =
        one(&mut client, "SELECT substring(acldefault('r', 10)::text FROM '=(.*)/')").unwrap();
    let expected = [
        ("function apikey_check(text,inet)", "X", &checker, "X"),
        (CREATE_JSON, "X", &manager, "X"),
        (CREATE_LEVEL, "X", &manager, "X*"),
        ("function apikey_revoke(text,text)", "X", &manager, "X"),
        ("view apikeys", all_on_a_view.as_str(), &manager, "r"),
    ]
    .map(|(object, rights, role, right)| {
        let owner = format!("postgres={rights}/postgres");
        format!(
            "+ {object} owner postgres: {{{owner},{role}={right}/postgres}}, initially {{{owner}}}"
        )
    });
    assert_eq!(more, expected.iter().collect::<Vec<_>>());

    let dump = database.client_program("pg_dump", &[]).success();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), dump).unwrap();
    let restored = Database::without_extension(Cluster::shared());
    let arguments = ["-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", file.path().to_str().unwrap()];
    restored.client_program("psql", &arguments).success();
    let lost = differences(&upgraded, &catalog(&mut restored.superuser()));
    assert_eq!(lost.len(), 0, "{}", lost.join("\n"));
}
