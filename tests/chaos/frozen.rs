//! A server that is there and says nothing.

use crate::scene::{
    REQUEST_TIMEOUT, Scene, a_while, assert_recovered, assert_right, is_any_unavailable,
    recovery_and_a_while,
};
use std::thread::sleep;
use std::time::Instant;

#[test]
fn postgres_frozen() {
    let scene = Scene::new(&[], &[]);
    let load = scene.load();
    a_while();
    let frozen = scene.database.cluster.freeze();
    sleep(2 * REQUEST_TIMEOUT);
    let answer = scene.shim.ask(scene.good());
    answer.assert_problem(503);
    assert!(answer.header("retry-after").is_some());
    assert_eq!(scene.shim.get("/live", &[]).status(), 200);
    drop(frozen);
    let back = Instant::now();
    recovery_and_a_while();
    let seen = load.stop();
    assert_right(&seen);
    assert!(is_any_unavailable(&seen));
    assert_recovered(&seen, back, &scene.shim);
    let log = scene.shim.log();
    assert!(log.contains("--request-timeout") || log.contains("--connect-timeout"), "{log}");
}
