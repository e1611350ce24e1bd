//! Something that Postgres needs is used up.

use crate::scene::{
    Scene, a_while, assert_recovered, assert_right, is_any_unavailable, recovery_and_a_while,
};
use apikey_tests::{Cluster, Tmpfs, eventually, one};
use postgres::{Config, NoTls};
use std::time::Instant;

const BACKENDS: &str =
    "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'apikey-shim'";
const END_THEM: &str = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
    WHERE application_name = 'apikey-shim'";

#[test]
fn connection_slots_used_up() {
    let scene = Scene::new(&["max_connections = 10", "superuser_reserved_connections = 2"], &[]);
    let load = scene.load();
    a_while();
    let mut superuser = scene.database.superuser();
    let mut hoarder = Config::new();
    hoarder.host("127.0.0.1").port(scene.database.port()).dbname(&scene.database.name);
    hoarder.user(&scene.login.role).password(&scene.login.password);
    let mut hoard = Vec::new();
    // The shim is quick to take a slot, and one that is given up is not free at once.
    let mut rounds_without = 0;
    eventually("the shim has no slot, and gets none", || {
        one(&mut superuser, END_THEM);
        while let Ok(connection) = hoarder.connect(NoTls) {
            hoard.push(connection);
        }
        let has_none = one(&mut superuser, BACKENDS).as_deref() == Some("0");
        rounds_without = if has_none { rounds_without + 1 } else { 0 };
        rounds_without == 5
    });
    a_while();
    scene.shim.ask(scene.good()).assert_problem(503);
    assert!(scene.shim.log().contains("SQLSTATE 53300"), "{}", scene.shim.log());
    drop(hoard);
    let back = Instant::now();
    recovery_and_a_while();
    let seen = load.stop();
    assert_right(&seen);
    assert!(is_any_unavailable(&seen));
    assert_recovered(&seen, back, &scene.shim);
}

/// A check that has nothing to write goes on. One that has, and a server that cannot even write its log of changes, do not.
#[test]
fn disk_full() {
    let Some(disk) = Tmpfs::mount("192m") else {
        eprintln!("skipped: a disk of its own, which it can fill, is made by root alone");
        return;
    };
    let cluster = Cluster::private_in(disk.path(), &["shared_preload_libraries = 'apikey'"]);
    let scene = Scene::in_cluster(cluster, &[]);
    // Their first check has a hash to store, and the table has no room for so many rows.
    let due: Vec<_> = (0..100).map(|_| scene.database.key("'event'")).collect();
    let mut writer = scene.database.superuser();
    let dearer = "ALTER DATABASE {} SET apikey.argon2_iterations = 2";
    writer.batch_execute(&dearer.replace("{}", &scene.database.name)).unwrap();
    let load = scene.load();
    a_while();
    disk.fill();
    one(&mut writer, END_THEM);
    for key in &due {
        match scene.shim.ask(key).status() {
            200 => {}
            503 => assert!(scene.shim.log().contains("SQLSTATE 53100"), "{}", scene.shim.log()),
            status => panic!("{status}"),
        }
    }
    // Until not even the log of changes has room: Postgres stops then, rather than promise what it cannot keep.
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
    let back = Instant::now();
    recovery_and_a_while();
    let seen = load.stop();
    assert_right(&seen);
    assert_recovered(&seen, back, &scene.shim);
    for key in &due {
        assert_eq!(scene.shim.ask(key).status(), 200, "{}", scene.shim.log());
    }
}
