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
            "SELECT * FROM apikey.authorize_key('KEY', NULL, 'event', '')",
            "SELECT apikey_login('KEY', NULL), apikey_current(), apikey_granted('event')",
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
            others.filter(|statement| !allowed.contains(statement)).chain(FORBIDDEN_TO_ALL)
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
    assert_eq!(one(&mut client, "SHOW log_parameter_max_length").as_deref(), Some("0"));
    assert_eq!(one(&mut client, "SELECT apikey_check('', NULL)"), None);
}
