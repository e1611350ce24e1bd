//! `kill -9`, of whatever there is to kill.

use crate::scene::{
    FLAGS, Scene, a_while, assert_recovered, assert_right, end_sessions, is_any_unavailable,
    recovery_and_a_while,
};
use apikey_tests::{Seen, Shim, one, signal};
use std::thread::sleep;
use std::time::{Duration, Instant};

#[test]
fn kill_9_of_the_postmaster() {
    let scene = Scene::new(&[], &[]);
    let load = scene.load();
    a_while();
    scene.database.cluster.kill_postmaster();
    a_while();
    scene.database.cluster.start();
    assert!(is_any_unavailable(&scene.assert_recovers(load)));
}

/// Postgres then ends all other backends too, because that one may have left the shared memory in
/// disorder.
#[test]
fn kill_9_of_one_backend() {
    let scene = Scene::new(&[], &[]);
    let load = scene.load();
    a_while();
    let mut client = scene.database.superuser();
    let of_shim = "SELECT pid FROM pg_stat_activity WHERE application_name = 'apikey-shim' LIMIT 1";
    signal("KILL", &[one(&mut client, of_shim).unwrap().parse().unwrap()]);
    scene.database.wait_for_recovery();
    scene.assert_recovers(load);
    let crashed = "terminated by signal 9";
    assert!(scene.database.cluster.log().contains(crashed));
}

/// Also one that has just begun, and was not asked anything yet.
#[test]
fn sessions_that_somebody_ends_cost_nobody_an_answer() {
    let scene = Scene::new(&[], &[]);
    let load = scene.load();
    let mut client = scene.database.superuser();
    let mut ended = 0;
    for n in 0..300 {
        ended += end_sessions(&mut client);
        // Not in step with connecting.
        sleep(Duration::from_millis(4 + 7 * n % 29));
        // Sometimes there is time to connect in, however slow the machine is.
        if n % 3 == 0 {
            assert_eq!(scene.shim.ask(scene.good()).status(), 200, "{}", scene.shim.log());
        }
    }
    let seen = load.stop();
    assert_right(&seen);
    assert!(ended > 50, "only {ended} were ended");
    assert!(!is_any_unavailable(&seen), "{}", scene.shim.log());
}

#[test]
fn kill_9_of_the_shim() {
    let mut scene = Scene::new(&[], &[]);
    let load = scene.load();
    a_while();
    let killed = Instant::now();
    scene.shim.signal("KILL");
    scene.shim.wait();
    a_while();
    let address = scene.shim.address.to_string();
    let flags = [&FLAGS[..], &["--listen", &address]].concat();
    let conninfo = scene.database.conninfo(&scene.login);
    let second = Shim::start_as(&scene.login, &conninfo, &flags);
    let back = Instant::now();
    recovery_and_a_while();
    let seen = load.stop();
    let is_unanswered = |seen: &&Seen| seen.status.is_none();
    assert!(seen.iter().filter(is_unanswered).all(|seen| seen.at + seen.took >= killed));
    let answered: Vec<_> = seen.iter().filter(|seen| !is_unanswered(seen)).cloned().collect();
    assert!(answered.len() < seen.len(), "nobody met the gap");
    assert_right(&answered);
    assert_recovered(&seen, back, &second);
}
