//! The roles of `deploy/roles.sql`: what each may do.

use apikey_tests::{Cluster, Database, one, refused};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/roles.sql");

/// What a role must be able to do, and what not. KEY and PREFIX are a live key's.
const ALLOWED: &[(&str, &[&str])] = &[
    (
        "apikey_checker",
        &[
            "SELECT apikey_check('KEY', NULL)",
            "SELECT apikey_check('KEY', NULL, '')",
            "SELECT * FROM apikey_authorize('KEY', NULL, 'event')",
            "SELECT apikey.check_key('KEY', NULL, '')",
            "SELECT apikey.check_key_at_once('KEY', NULL, '')",
            "SELECT * FROM apikey.authorize_key('KEY', NULL, 'event', '')",
            "SELECT * FROM apikey.authorize_key_at_once('KEY', NULL, 'event', '')",
            "SELECT apikey_login('KEY', NULL), apikey_current(), apikey_granted('event')",
        ],
    ),
    (
        "apikey_backup",
        &[
            "SELECT * FROM apikey.key",
            "SELECT verifier FROM apikey.key",
            "SELECT * FROM apikey.usage",
            "SELECT * FROM apikey.event",
        ],
    ),
    ("apikey_auditor", &["SELECT * FROM apikeys", "SELECT * FROM apikey_events"]),
    (
        "apikey_manager",
        &[
            "SELECT * FROM apikeys",
            "SELECT * FROM apikey_events",
            "SELECT apikey_create('a', 'event'), apikey_create('b', '[\"event\"]'::jsonb)",
            "SELECT apikey_explain('KEY', NULL)",
            "SELECT apikey_check('KEY', NULL)",
            "SELECT apikey_check('KEY', NULL, '')",
            "SELECT apikey_disable('KEY'), apikey_enable('KEY')",
            "SELECT apikey.create_key('c', '\"event\"', NULL, NULL, NULL, NULL, NULL, NULL)",
            "SELECT apikey.explain_key('KEY', NULL, '')",
            "SELECT apikey.check_key('KEY', NULL, '')",
            "SELECT apikey.disable_key('KEY'), apikey.enable_key('KEY')",
            "SELECT apikey.rotate_key(apikey.create_key('d', '\"event\"', NULL, NULL, NULL, NULL, NULL, NULL), '1 day')",
            "SELECT apikey.revoke_key(apikey.create_key('e', '\"event\"', NULL, NULL, NULL, NULL, NULL, NULL), NULL)",
            "UPDATE apikey.key SET expires_at = '2100-01-01', metadata = '{\"a\": 1}' WHERE prefix = 'PREFIX'",
            "INSERT INTO apikey.scope VALUES ('event', 'see events')",
            "DELETE FROM apikey.scope",
            "SELECT apikey_rotate('KEY', '1 day')",
            "UPDATE apikey.key SET revoked_at = now(), revoke_reason = 'lost' WHERE prefix = 'PREFIX'",
            "SELECT apikey_revoke('KEY')",
        ],
    ),
];

const FORBIDDEN_TO_ALL: &[&str] = &[
    "SELECT verifier FROM apikey.key",
    "SELECT * FROM apikey.key",
    "UPDATE apikey.key SET verifier = verifier",
    "UPDATE apikey.key SET tenant = 'other'",
    "UPDATE apikey.key SET created_by = 'other'",
    "INSERT INTO apikey.key (prefix) VALUES ('Map0K71T')",
    "DELETE FROM apikey.key",
    "INSERT INTO apikey.event (action, prefix, changed) VALUES ('create', 'Map0K71T', '{}')",
    "UPDATE apikey.event SET at = now()",
    "DELETE FROM apikey.event",
    "SELECT * FROM apikey.usage",
    "UPDATE apikey.usage SET accepted = 0",
    "SELECT apikey_prune_events('1 year')",
    "SELECT apikey.set_identity('PREFIX')",
    "SELECT apikey.make_verifier('KEY')",
    "ALTER TABLE apikey.key DISABLE TRIGGER ALL",
    "SET session_replication_role = replica",
    "SET log_parameter_max_length = -1",
];

/// In a cluster of its own, since roles are the cluster's.
#[test]
fn each_role_may_do_its_part_and_no_more() {
    let mut database = Database::in_cluster(Cluster::private(&[]));
    for _ in 0..2 {
        database.client_program("psql", &["-X", "-q", "-f", SCRIPT]).success();
    }
    let mut superuser = database.superuser();
    for (role, allowed) in ALLOWED {
        let login = database.login(&role.replace("apikey_", "a_"), &format!("IN ROLE {role}"));
        let mut client = database.connect(&login);
        let key = one(&mut superuser, &format!("SELECT apikey_create('key of {role}', 'event')"))
            .unwrap();
        let fill = |statement: &str| statement.replace("KEY", &key).replace("PREFIX", &key[..8]);
        let others =
            ALLOWED.iter().filter(|(other, _)| other != role).flat_map(|(_, theirs)| *theirs);
        for statement in
            others.chain(FORBIDDEN_TO_ALL).filter(|statement| !allowed.contains(statement))
        {
            let refusal = refused(client.batch_execute(&fill(statement)));
            assert_eq!(refusal.sqlstate(), "42501", "{role}: {statement}: {}", refusal.message());
        }
        for statement in *allowed {
            let result = client.batch_execute(&fill(statement));
            result.unwrap_or_else(|error| panic!("{role}: {statement}: {error:?}"));
        }
    }
    // The shim's role is a checker whose parameters are not logged.
    superuser.batch_execute("ALTER ROLE apikey_shim PASSWORD 'x'").unwrap();
    let shim = apikey_tests::Login { role: "apikey_shim".to_owned(), password: "x".to_owned() };
    let mut client = database.connect(&shim);
    for (setting, value) in [
        ("log_parameter_max_length", "0"),
        ("log_parameter_max_length_on_error", "0"),
        ("pgaudit.log_parameter", "off"),
        ("auto_explain.log_min_duration", "-1"),
    ] {
        let shown = one(&mut client, &format!("SHOW {setting}"));
        assert_eq!(shown.as_deref(), Some(value), "{setting}");
    }
    assert_eq!(one(&mut client, "SELECT apikey_check('', NULL)"), None);
}

const NAMES: [&str; 5] =
    ["apikey_auditor", "apikey_backup", "apikey_checker", "apikey_manager", "apikey_shim"];

/// Roles are the server's, and a role of such a name may be anybody's.
#[test]
fn roles_that_were_there_before_are_shown_and_get_nothing_until_somebody_has_looked() {
    let mut database = Database::in_cluster(Cluster::private(&[]));
    let stranger = database.login("stranger", "");
    let mut client = database.superuser();
    let run = |arguments: &[&str]| {
        database.client_program("psql", &[&["-Xq", "-f", SCRIPT], arguments].concat())
    };
    for name in NAMES {
        let before = format!("CREATE ROLE {name} LOGIN PASSWORD 'x' ROLE {}", stranger.role);
        client.batch_execute(&before).unwrap();
        for arguments in [&[][..], &["-v", "existing_roles=no"]] {
            let output = run(arguments);
            assert_eq!(output.code, Some(3), "{}", output.stderr);
            let said = format!(
                "WARNING:  the role {name} was there before: it can log in, it has a password, its members are {}\n",
                stranger.role
            );
            assert!(output.stderr.contains(&said), "{}", output.stderr);
            assert!(output.stderr.contains("existing_roles=accept"), "{}", output.stderr);
            let made = "SELECT string_agg(rolname, ' ') FROM pg_roles WHERE rolname LIKE 'apikey%'";
            assert_eq!(one(&mut client, made).as_deref(), Some(name));
        }
        run(&["-v", "existing_roles=accept"]).success();
        // From now on they are known, the shim's too, and what they have is said all the same.
        let again = run(&[]);
        assert_eq!(again.code, Some(0), "{}", again.stderr);
        assert!(!again.stderr.contains("WARNING"), "{}", again.stderr);
        for name in NAMES {
            let said = format!("NOTICE:  the role {name} has rights here already: ");
            assert!(again.stderr.contains(&said), "{}", again.stderr);
        }
        let joined = "SELECT pg_has_role('apikey_manager', 'apikey_auditor', 'USAGE')
                         AND pg_has_role('apikey_shim', 'apikey_checker', 'USAGE')";
        assert_eq!(one(&mut client, joined).as_deref(), Some("t"));
        let all = NAMES.join(", ");
        client.batch_execute(&format!("DROP OWNED BY {all}; DROP ROLE {all}")).unwrap();
    }
}
