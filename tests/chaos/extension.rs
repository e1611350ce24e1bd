//! A DBA changes the extension while it is in use.

use crate::scene::{FLAGS, Scene, a_while, end_sessions, is_any_unavailable, keys};
use apikey_tests::{Asked, Cluster, Database, Shim, eventually};

#[test]
fn drop_extension_under_load() {
    let scene = Scene::new(&[], &[]);
    let mut client = scene.database.superuser();
    client.batch_execute("CREATE TABLE kept AS SELECT * FROM apikey.key").unwrap();
    let load = scene.load();
    a_while();
    client.batch_execute("DROP EXTENSION apikey").unwrap();
    a_while();
    scene.shim.ask(scene.good()).assert_problem(503);
    // Whoever was in the middle of a check said something else first.
    eventually("the log says that there is no such extension", || {
        let log = scene.shim.log();
        log.contains("CREATE EXTENSION apikey")
    });
    // In one transaction: keys are unknown between the first and the last statement, and nobody is
    // to see that.
    let restore = format!(
        "BEGIN; CREATE EXTENSION apikey; INSERT INTO apikey.key SELECT * FROM kept;
         GRANT EXECUTE ON FUNCTION apikey_check(text, inet) TO {}; COMMIT",
        scene.login.role
    );
    client.batch_execute(&restore).unwrap();
    assert!(is_any_unavailable(&scene.assert_recovers(load)));
}

#[test]
fn extension_upgraded_under_load() {
    let cluster = Cluster::preloaded(&[]);
    let mut database = Database::without_extension(cluster);
    let mut client = database.superuser();
    let login = database.login("checker", "");
    let create = format!(
        "CREATE EXTENSION apikey VERSION '0.3.0';
         GRANT EXECUTE ON FUNCTION apikey_check(text, inet) TO {}",
        login.role
    );
    client.batch_execute(&create).unwrap();
    let keys: Vec<Asked> = keys(&database);
    let shim = Shim::start_as(&login, &database.conninfo(&login), &FLAGS);
    let scene = Scene { shim, keys, login, database };
    let load = scene.load();
    a_while();
    client.batch_execute("ALTER EXTENSION apikey UPDATE").unwrap();
    scene.assert_recovers(load);
}

/// What a DBA may do to the table, some of which it rewrites, and some of which takes away for a
/// moment what a check needs.
#[test]
fn table_changed_under_load() {
    let scene = Scene::new(&[], &[]);
    let mut client = scene.database.superuser();
    let load = scene.load();
    for _ in 0..10 {
        for change in [
            "REINDEX TABLE apikey.key",
            "REINDEX TABLE CONCURRENTLY apikey.key",
            "VACUUM FULL apikey.key",
            "CLUSTER apikey.key USING key_pkey",
            "ALTER TABLE apikey.key ADD COLUMN note text DEFAULT clock_timestamp()::text",
            "ALTER TABLE apikey.key DROP COLUMN note",
            "ALTER TABLE apikey.key DROP CONSTRAINT key_pkey CASCADE",
            "ALTER TABLE apikey.key ADD CONSTRAINT key_pkey PRIMARY KEY (prefix)",
            "ALTER TABLE apikey.key RENAME TO away",
            "ALTER TABLE apikey.away RENAME TO key",
            "ALTER SCHEMA apikey RENAME TO away",
            "ALTER SCHEMA away RENAME TO apikey",
        ] {
            client.batch_execute(change).unwrap();
            if change == "ALTER TABLE apikey.key RENAME TO away" {
                assert_eq!(scene.shim.ask(scene.good()).status(), 503);
            }
        }
        end_sessions(&mut client);
    }
    scene.assert_recovers(load);
}
