//! Something that Postgres needs is used up.

use crate::scene::{SESSIONS, Scene, a_while, end_sessions, is_any_unavailable};
use apikey_tests::{Cluster, Tmpfs, eventually, one};
use postgres::{Config, NoTls};

#[test]
fn connection_slots_used_up() {
    let settings = ["max_connections = 10", "superuser_reserved_connections = 2"];
    let mut scene = Scene::new(&settings, &[]);
    let load = scene.load();
    a_while();
    let mut superuser = scene.database.superuser();
    let hoarder = scene.database.login("hoarder", "");
    let mut config = Config::new();
    config.host("127.0.0.1").port(scene.database.port()).dbname(&scene.database.name);
    config.user(&hoarder.role).password(&hoarder.password);
    // The shim is kept out until all slots are taken, or it would be the quicker one.
    let limit = format!("ALTER ROLE {} CONNECTION LIMIT", scene.login.role);
    superuser.batch_execute(&format!("{limit} 0")).unwrap();
    let mut hoard = Vec::new();
    eventually("all slots are taken, one of them by the superuser", || {
        end_sessions(&mut superuser);
        hoard.extend(config.connect(NoTls).ok());
        hoard.len() == 10 - 2 - 1
    });
    superuser.batch_execute(&format!("{limit} -1")).unwrap();
    a_while();
    assert_eq!(one(&mut superuser, SESSIONS).as_deref(), Some("0"));
    a_while();
    scene.shim.ask(scene.good()).assert_problem(503);
    let log = scene.shim.log();
    assert!(log.contains("connection slots are reserved") && log.contains("53300"), "{log}");
    drop(hoard);
    assert!(is_any_unavailable(&scene.assert_recovers(load)));
}

/// Checks go on, also those whose hash is to be renewed, until the server cannot even write its log
/// of changes.
#[test]
fn disk_full() {
    let Some(disk) = Tmpfs::mount("192m") else {
        eprintln!("skipped: a disk of its own, which it can fill, is made by root alone");
        return;
    };
    let settings = ["shared_preload_libraries = 'apikey'", "apikey.usage_flush_interval = '1s'"];
    let scene = Scene::in_cluster(Cluster::private_in(disk.path(), &settings), &[]);
    // The worker has their uses and their renewed hashes to store, and the tables have no room for
    // so many rows.
    let due: Vec<_> = (0..100).map(|_| scene.database.key("'event'")).collect();
    let mut writer = scene.database.superuser();
    let dearer = "ALTER DATABASE {} SET apikey.argon2_iterations = 2";
    writer.batch_execute(&dearer.replace("{}", &scene.database.name)).unwrap();
    let load = scene.load();
    a_while();
    disk.fill();
    end_sessions(&mut writer);
    for key in &due {
        assert_eq!(scene.shim.ask(key).status(), 200, "{}", scene.shim.log());
    }
    eventually("the worker finds no room, and says so", || {
        scene.database.cluster.log().contains("No space left on device")
    });
    // Until not even the log of changes has room: Postgres stops then, rather than promise what it
    // cannot keep.
    let write = "SELECT pg_logical_emit_message(false, 'chaos', repeat('x', 1000000))";
    eventually("Postgres has stopped", || {
        writer.batch_execute(write).is_err_and(|error| error.is_closed())
    });
    a_while();
    scene.shim.ask(scene.good()).assert_problem(503);
    let log = scene.shim.log();
    assert!(log.contains("cannot connect"), "{log}");
    assert!(scene.database.cluster.log().contains("No space left on device"));
    disk.make_room();
    scene.database.cluster.start();
    scene.assert_recovers(load);
    let mut client = scene.database.superuser();
    let dear =
        "SELECT count(*) FROM apikey.key WHERE revoked_at IS NULL AND verifier NOT LIKE '%t=2%'";
    eventually("there is room for all hashes again", || {
        for key in &due {
            assert_eq!(scene.shim.ask(key).status(), 200, "{}", scene.shim.log());
        }
        one(&mut client, dear).as_deref() == Some("0")
    });
}
