//! No log has a key in it, and none is silent by mistake.

use apikey_tests::{Database, Shim, one};

#[test]
fn neither_the_shims_log_nor_the_servers_has_the_key() {
    let mut database = Database::new();
    let key = database.key("'event'");
    let wrong = format!("{}wrongwrongwrongwrongwrongwrongWRON", &key[..9])[..41].to_owned();
    // The role of deploy/roles.sql, on a server that logs every statement with its parameters.
    let roles = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/roles.sql");
    let shim_role = database.login("shim", "");
    let script = std::fs::read_to_string(roles).unwrap();
    let script = script.replace("apikey_checker", &format!("{}_group", database.name));
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), script.replace("apikey_shim", &shim_role.role)).unwrap();
    let file = file.path().to_str().unwrap();
    let arguments = ["-X", "-q", "-v", "existing_roles=accept", "-f", file];
    database.client_program("psql", &arguments).success();
    let mut superuser = database.superuser();
    superuser
        .batch_execute(&format!(
            "GRANT {0}_group TO {1};
             ALTER ROLE {1} SET log_statement = 'all';
             ALTER ROLE {1} SET log_min_duration_statement = 0;
             ALTER ROLE {1} SET log_min_messages = debug1",
            database.name, shim_role.role
        ))
        .unwrap();
    let conninfo =
        format!("{} application_name=logs_{}", database.conninfo(&shim_role), database.name);
    let shim = Shim::start_as(&shim_role, &conninfo, &[]);
    assert_eq!(shim.ask(&key).status(), 200, "{}", shim.log());
    assert_eq!(shim.ask(&wrong).status(), 401);
    shim.get(&format!("/api/user/keytest/?key={key}"), &[&format!("X-Api-Key: {key}")]);
    let line = format!("X-Api-Key: {key}");
    let pass = shim.get("/auth?scope=event", &[&line]);
    assert_eq!(pass.status(), 200, "{}", shim.log());
    assert_eq!(shim.get(&format!("/auth?scope={key}"), &[&line]).status(), 403);
    shim.get(&format!("/{key}"), &[&format!("Referer: {key}")]);
    // An error on the way.
    superuser.batch_execute("ALTER TABLE apikey.key RENAME TO hidden").unwrap();
    assert_eq!(shim.ask(&key).status(), 503);
    assert_eq!(shim.get("/auth", &[&line]).status(), 503);
    superuser.batch_execute("ALTER TABLE apikey.hidden RENAME TO key").unwrap();

    let (server, own) = (database.cluster.log(), shim.log());
    assert!(server.contains("SELECT apikey.check_key("), "the server logged no statement");
    assert!(own.contains("listening") || own.contains("starts"), "the shim logged nothing: {own}");
    assert!(
        server.contains("LATERAL apikey.authorize_key_at_once("),
        "the server logged no statement"
    );
    for secret in [&key[9..], &wrong[9..]] {
        assert!(!server.contains(secret), "in the server's log");
        assert!(!own.contains(secret), "in the shim's log: {own}");
    }
    assert_eq!(
        one(&mut superuser, &format!("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%' || '{}' || '%' AND pid <> pg_backend_pid()", &key[9..])).as_deref(),
        Some("0")
    );
    drop(shim);
    superuser
        .batch_execute(&format!("DROP OWNED BY {0}_group; DROP ROLE {0}_group", database.name))
        .unwrap();
}

/// By other names of a level, by an empty variable as a template leaves it, and by a filter of a
/// part alone.
#[test]
fn a_filter_leaves_warnings_in() {
    let login = apikey_tests::Cluster::shared().superuser();
    let nowhere = "host=127.0.0.1 port=1 user=nobody";
    for filter in ["warn", "warning", "WARN", "", "apikey_shim::server=error", "err,info"] {
        let shim = Shim::start_as(&login, nowhere, &["--log", filter]);
        assert_eq!(shim.get("/ready", &[]).status(), 503);
        assert!(shim.log().contains("cannot connect"), "{filter}: {}", shim.log());
    }
    for filter in ["off", "err", "ERROR"] {
        let shim = Shim::start_as(&login, nowhere, &["--log", filter]);
        assert_eq!(shim.get("/ready", &[]).status(), 503);
        assert_eq!(shim.log(), "", "{filter}");
    }
}
