//! `ALTER EXTENSION apikey UPDATE` keeps keys and grants, and ends where a fresh install begins.

mod catalog;

use apikey_tests::{Cluster, Database, eventually, one, wrong_secret};
use catalog::{catalog, differences};
use postgres::Client;

const UPDATE: &str = "ALTER EXTENSION apikey UPDATE";

const CREATE_LEVEL: &str =
    "function apikey_create(text,text,inet,inet[],text,timestamp with time zone,text,jsonb)";
const CREATE_JSON: &str =
    "function apikey_create(text,jsonb,inet,inet[],text,timestamp with time zone,text,jsonb)";

const CREATE_KEY: &str =
    "function apikey.create_key(text,jsonb,inet,inet[],text,timestamp with time zone,text,jsonb)";

const ENDED: &str = "function apikey.ended(timestamp with time zone,timestamp with time zone,timestamp with time zone)";

const CREATE_LIST: &str =
    "function apikey_create(text,text[],inet,inet[],text,timestamp with time zone,text,jsonb)";

/// All that there were.
const OLDER: [&str; 1] = ["0.3.0"];

fn of_version(version: &str, schema: &str) -> Database {
    let database = Database::without_extension(Cluster::shared());
    let create = format!(
        "CREATE SCHEMA IF NOT EXISTS \"{schema}\"; CREATE EXTENSION apikey SCHEMA \"{schema}\" VERSION '{version}'"
    );
    database.superuser().batch_execute(&create).unwrap();
    database
}

fn valid(client: &mut Client, key: &str) -> bool {
    one(client, &format!("SELECT apikey_check('{key}', '10.0.0.1')")).is_some()
}

/// Three that are not valid, by a plain update.
fn ended_keys(database: &Database) -> Vec<String> {
    let mut client = database.superuser();
    ["disabled_at", "expires_at", "revoked_at"]
        .into_iter()
        .map(|ends| {
            let key = database.key("'event'");
            let update = format!("UPDATE apikey.key SET {ends} = created_at WHERE prefix = $1");
            client.execute(&update, &[&&key[..8]]).unwrap();
            key
        })
        .collect()
}

#[test]
fn keys_of_older_versions_work_on() {
    for version in OLDER {
        let database = of_version(version, "public");
        let mut client = database.superuser();
        let level = database.key("'event', '10.0.0.0/8', owner => 'ada'");
        let object = database.key("'{\"event\":true,\"ticket\":false}'::jsonb");
        let ended = ended_keys(&database);
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
        let successor = one(&mut client, &format!("SELECT apikey_rotate('{level}', '1 hour')"));
        let successor = successor.unwrap();
        for (key, tagged) in [(&level, "t"), (&successor, "t")] {
            assert!(valid(&mut client, key) && !valid(&mut client, &wrong_secret(key)));
            let tag =
                format!("SELECT tag IS NOT NULL FROM apikey.key WHERE prefix = '{}'", &key[..8]);
            assert_eq!(one(&mut client, &tag).as_deref(), Some(tagged));
        }
        one(&mut client, &format!("SELECT apikey_revoke('{level}')"));
        assert!(!valid(&mut client, &level));
        let trail = format!(
            "SELECT string_agg(action, ' ' ORDER BY at) FROM apikey_events WHERE prefix = '{}'",
            &level[..8]
        );
        assert_eq!(one(&mut client, &trail).as_deref(), Some("create rotate revoke"), "{version}");
    }
}

/// The library of all databases is replaced at once, and each database is updated when its owner
/// comes to it.
#[test]
fn a_database_that_is_not_updated_yet_is_served_as_before() {
    for version in OLDER {
        let database = of_version(version, "public");
        let (mut client, mut checking) = (database.superuser(), database.superuser());
        let key = database.key("'event', '10.0.0.0/8', owner => 'ada'");
        let wrong = wrong_secret(&key);
        for _ in 0..2 {
            assert!(valid(&mut checking, &key) && !valid(&mut checking, &wrong), "{version}");
        }
        let elsewhere = format!("SELECT apikey_check('{key}', '192.0.2.1') ->> 'ip_valid'");
        assert_eq!(one(&mut client, &elsewhere).as_deref(), Some("false"));
        let revoked = database.key("'event'");
        let revoke = format!("SELECT apikey_revoke('{revoked}', 'lost')");
        assert!(valid(&mut checking, &revoked), "{version}");
        assert_eq!(one(&mut client, &revoke).as_deref(), Some("t"), "{version}");
        for key in ended_keys(&database).iter().chain([&revoked]) {
            assert!(!valid(&mut checking, key), "{version}");
        }

        let cost = format!(
            "SELECT split_part(verifier, '$', 4) FROM apikey.key WHERE prefix = '{}'",
            &key[..8]
        );
        client.batch_execute("SET apikey.argon2_iterations = 2").unwrap();
        eventually("the hash is renewed", || {
            assert!(!valid(&mut client, &wrong) && valid(&mut client, &key), "{version}");
            one(&mut checking, &cost).as_deref() == Some("m=1024,t=2,p=1")
        });
        assert!(valid(&mut checking, &key) && !valid(&mut checking, &wrong), "{version}");

        let update = "UPDATE apikey.key SET tenant = 'venue' WHERE owner = 'ada'";
        client.batch_execute(update).unwrap();
        assert!(!valid(&mut checking, &key), "of another tenant");
        let tenants = [(", 'venue'", true), (", 'elsewhere'", false), (", ''", false)];
        for (question, answer) in [
            ("reason FROM apikey_authorize(KEY, 'event', 'venue')", "ok"),
            ("apikey_login(KEY, 'venue') AND (apikey_current()).owner = 'ada'", "t"),
            ("apikey_explain(KEY, 'venue')", "accepted"),
        ] {
            let question = question.replace("KEY", &format!("'{key}', '10.0.0.1'"));
            let given = one(&mut checking, &format!("SELECT {question}"));
            assert_eq!(given.as_deref(), Some(answer));
        }
        let mut answers = || {
            let check = |(tenant, _): &(&str, bool)| {
                one(&mut checking, &format!("SELECT apikey_check('{key}', '10.0.0.1'{tenant})"))
                    .is_some()
            };
            tenants.iter().map(check).collect::<Vec<_>>()
        };
        let expected: Vec<_> = tenants.iter().map(|(_, expected)| *expected).collect();
        assert_eq!(answers(), expected, "{version}");
        // On a connection that knew the old table, too.
        client.batch_execute(UPDATE).unwrap();
        assert_eq!(answers(), expected, "{version}");
        assert_eq!(
            one(&mut client, &format!("SELECT apikey_revoke('{key}')")).as_deref(),
            Some("t")
        );
        assert!(!answers().contains(&true), "{version}");
    }
}

/// It stands where a newer version has one of its own, or would have.
#[test]
fn a_column_that_a_dba_added_to_an_older_version_is_taken_for_nothing_else() {
    for version in OLDER {
        for column in
            ["shop integer DEFAULT 7", "note text DEFAULT 'none'", "at timestamptz DEFAULT now()"]
        {
            let database = of_version(version, "public");
            let (mut client, mut checking) = (database.superuser(), database.superuser());
            let key = database.key("'event'");
            client.batch_execute(&format!("ALTER TABLE apikey.key ADD {column}")).unwrap();
            for update in ["SELECT 1", UPDATE] {
                client.batch_execute(update).unwrap();
                let made_since = database.key("'event'");
                for key in [&key, &made_since] {
                    let check = "SELECT apikey_check($1, NULL)::text IS NOT NULL";
                    let answer = checking.query_one(check, &[key]).map(|row| row.get(0));
                    assert!(
                        matches!(answer, Ok(true)),
                        "{version}, {column}, {update}: {answer:?}"
                    );
                    assert!(
                        !valid(&mut checking, &wrong_secret(key)),
                        "{version}, {column}, {update}"
                    );
                }
            }
        }
    }
}

#[test]
fn the_catalog_is_that_of_a_fresh_install() {
    // A name that has to be quoted wherever the script uses it.
    let schema = "Key store";
    let fresh = Database::without_extension(Cluster::shared());
    let create = format!("CREATE SCHEMA \"{schema}\"; CREATE EXTENSION apikey SCHEMA \"{schema}\"");
    fresh.superuser().batch_execute(&create).unwrap();
    let expected = catalog(&mut fresh.superuser());
    assert!(expected.iter().any(|line| line.contains("apikey_rotate")), "the catalog is empty");

    for version in OLDER {
        let upgraded = of_version(version, schema);
        upgraded.superuser().batch_execute(UPDATE).unwrap();
        let found = differences(&expected, &catalog(&mut upgraded.superuser()));
        assert_eq!(found.len(), 0, "from {version}:\n{}", found.join("\n"));
    }
}

/// What a DBA granted stays, and nobody gets more. It is dumped as well: what a script of an
/// extension grants, Postgres takes for the extension's own, and leaves out.
#[test]
fn grants_are_kept_and_nothing_is_added() {
    let mut database = of_version("0.3.0", "public");
    let [manager, checker, shim, newcomer] =
        ["manager", "checker", "shim", "newcomer"].map(|name| database.login(name, "").role);
    let mut client = database.superuser();
    let prepare = format!(
        "GRANT EXECUTE ON {CREATE_LEVEL} TO {manager} WITH GRANT OPTION;
         GRANT EXECUTE ON {CREATE_JSON}, apikey_revoke, apikey.usage_in_memory TO {manager};
         GRANT SELECT ON apikeys TO {manager};
         GRANT EXECUTE ON FUNCTION apikey_check(text, inet) TO {checker}, PUBLIC;
         GRANT EXECUTE ON FUNCTION apikey_check(text, inet, text), apikey_authorize TO {shim};
         -- It says what happens to objects that are made from now on.
         ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON FUNCTIONS TO {newcomer};
         ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO {newcomer}"
    );
    client.batch_execute(&prepare).unwrap();
    client.batch_execute(UPDATE).unwrap();

    let upgraded = catalog(&mut client);
    let found = differences(&catalog(&mut Database::new().superuser()), &upgraded);
    let more: Vec<_> = found.iter().filter(|line| line.starts_with('+')).collect();
    let nobody = String::new();
    // Postgres 17 has one more than 14.
    let all_on_a_view =
        one(&mut client, "SELECT substring(acldefault('r', 10)::text FROM '=(.*)/')").unwrap();
    let expected = [
        // What does the work of those, too, and who may call what no role had more than without a
        // tenant.
        ("function apikey.authorize_key(text,inet,text,text)", "X", vec![(&shim, "X")]),
        ("function apikey.authorize_key_at_once(text,inet,text,text)", "X", vec![(&shim, "X")]),
        ("function apikey.check_key(text,inet,text)", "X", vec![(&shim, "X")]),
        ("function apikey.check_key_at_once(text,inet,text)", "X", vec![(&shim, "X")]),
        (CREATE_KEY, "X", vec![(&manager, "X")]),
        (ENDED, "X", vec![(&manager, "X")]),
        ("function apikey.revoke_key(text,text)", "X", vec![(&manager, "X")]),
        ("function apikey.usage_in_memory()", "X", vec![(&manager, "X")]),
        ("function apikey_authorize(text,inet,text,text)", "X", vec![(&shim, "X")]),
        ("function apikey_check(text,inet)", "X", vec![(&nobody, "X"), (&checker, "X")]),
        ("function apikey_check(text,inet,text)", "X", vec![(&shim, "X")]),
        (CREATE_JSON, "X", vec![(&manager, "X")]),
        (CREATE_LEVEL, "X", vec![(&manager, "X*")]),
        (CREATE_LIST, "X", vec![(&manager, "X")]),
        ("function apikey_revoke(text,text)", "X", vec![(&manager, "X")]),
        ("schema apikey", "UC", vec![(&manager, "U"), (&shim, "U")]),
        ("view apikeys", all_on_a_view.as_str(), vec![(&manager, "r")]),
    ]
    .map(|(object, rights, granted)| {
        let owner = format!("postgres={rights}/postgres");
        let grant = |(role, right): (&String, &str)| format!("{role}={right}/postgres");
        let mut all: Vec<_> = granted.into_iter().map(grant).chain([owner.clone()]).collect();
        all.sort();
        format!("+ {object} owner postgres: {{{}}}, initially {{{owner}}}", all.join(","))
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
