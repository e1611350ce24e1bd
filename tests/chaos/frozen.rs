//! A server that is there and says nothing.

use crate::scene::{REQUEST_TIMEOUT, Scene, a_while, is_any_unavailable};
use std::thread::sleep;

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
    assert!(is_any_unavailable(&scene.assert_recovers(load)));
    let log = scene.shim.log();
    assert!(log.contains("--request-timeout") || log.contains("--connect-timeout"), "{log}");
}
