//! Several servers in one connection string: a primary and its standby, named in this order.

use crate::scene::{
    FLAGS, RECOVERY, SESSIONS, SLACK, a_while, assert_recovered, assert_right, end_sessions, keys,
    recovery_and_a_while,
};
use apikey_tests::{Asked, Cluster, Database, Load, Login, Seen, Shim, eventually, one};
use std::net::TcpListener;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Within which a server that is dead or not what is wanted is left.
const LEFT: Duration = Duration::from_secs(1);

struct Pair {
    database: Database,
    standby: Cluster,
    login: Login,
    keys: Vec<Asked>,
}

impl Pair {
    fn new() -> Self {
        let cluster = Cluster::preloaded(&[]);
        let mut database = Database::in_cluster(cluster);
        let login = database.checker();
        let keys = keys(&database);
        let standby = database.cluster.standby();
        let pair = Self { database, standby, login, keys };
        let revoked = &pair.keys[1].key[..8];
        let has_all =
            format!("SELECT revoked_at IS NOT NULL FROM apikey.key WHERE prefix = '{revoked}'");
        eventually("the standby follows", || {
            one(&mut pair.database.on_standby(&pair.standby), &has_all).as_deref() == Some("t")
        });
        pair
    }

    /// In front of these ports, in this order.
    fn shim_at(&self, ports: &[u16], attributes: &str) -> Shim {
        let hosts = vec!["127.0.0.1"; ports.len()].join(",");
        let ports = ports.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        let conninfo = format!(
            "host={hosts} port={ports} user={} dbname={} {attributes}",
            self.login.role, self.database.name
        );
        Shim::start_as(&self.login, &conninfo, &FLAGS)
    }

    fn shim(&self, attributes: &str) -> Shim {
        self.shim_at(&[self.database.port(), self.standby.port()], attributes)
    }

    fn load(&self, shim: &Shim) -> Load {
        assert_eq!(shim.ask(&self.keys[0].key).status(), 200, "{}", shim.log());
        Load::start(shim.address, 4, &self.keys)
    }

    /// The shim's connections to the first and to the second.
    fn connections(&self) -> [u32; 2] {
        let clients = [self.database.superuser(), self.database.on_standby(&self.standby)];
        clients.map(|mut client| one(&mut client, SESSIONS).unwrap().parse().unwrap())
    }
}

/// Nobody waited for longer, and from then on there were verdicts only.
#[track_caller]
fn assert_left(seen: &[Seen], since: Instant, shim: &Shim) {
    assert_right(seen);
    for seen in seen {
        let is_verdict = seen.status != Some(503);
        assert!(is_verdict || seen.at < since + LEFT + SLACK, "{seen:?}\n{}", shim.log());
    }
    assert_recovered(seen, since, shim);
}

#[test]
fn a_dead_host_is_left() {
    let pair = Pair::new();
    let shim = pair.shim("");
    let load = pair.load(&shim);
    a_while();
    assert_eq!(pair.connections()[1], 0, "the first is not tried first");
    let dead = Instant::now();
    pair.database.cluster.kill_postmaster();
    recovery_and_a_while();
    assert_left(&load.stop(), dead, &shim);
}

/// Its kernel acknowledges everything, and no process of it answers.
#[test]
fn a_frozen_host_is_left() {
    let pair = Pair::new();
    let shim = pair.shim("");
    let load = pair.load(&shim);
    a_while();
    let begin = Instant::now();
    let frozen = pair.database.cluster.freeze();
    recovery_and_a_while();
    let seen = load.stop();
    drop(frozen);
    assert_left(&seen, begin, &shim);
    let waited_for_it = seen.iter().filter(|seen| seen.at < begin + RECOVERY);
    assert!(waited_for_it.map(|seen| seen.took).max().unwrap() < LEFT + SLACK);
    assert!(shim.log().contains("leaving a server that does not answer"), "{}", shim.log());
}

/// From the start: its kernel takes connections.
#[test]
fn a_host_that_says_nothing_is_passed_over() {
    let pair = Pair::new();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let shim = pair.shim_at(&[silent.local_addr().unwrap().port(), pair.database.port()], "");
    let begin = Instant::now();
    for Asked { key, is_good } in &pair.keys {
        assert_eq!(shim.ask(key).status(), if *is_good { 200 } else { 401 }, "{}", shim.log());
    }
    assert!(begin.elapsed() < LEFT + SLACK);
    assert!(shim.log().contains("--connect-timeout"), "{}", shim.log());
}

/// The standby is promoted, and the primary closed to changes while connections to it stay open.
#[test]
fn a_host_that_became_read_only_is_left() {
    let pair = Pair::new();
    let shim = pair.shim("target_session_attrs=read-write");
    let load = pair.load(&shim);
    a_while();
    let mut primary = pair.database.superuser();
    let mut standby = pair.database.on_standby(&pair.standby);
    one(&mut standby, "SELECT pg_promote()");
    primary.batch_execute("ALTER SYSTEM SET default_transaction_read_only = on").unwrap();
    one(&mut primary, "SELECT pg_reload_conf()");
    let begin = Instant::now();
    recovery_and_a_while();
    let [first, second] = pair.connections();
    let seen = load.stop();
    assert_left(&seen, begin, &shim);
    assert!(first == 0 && second > 0, "{first} {second} {}", shim.log());
    assert!(shim.log().contains("it is read-only"), "{}", shim.log());
}

/// The primary dies, the standby takes its place, and the old primary comes back as what it is
/// then: a server that knows nothing of a revocation.
#[test]
fn a_primary_that_comes_back_as_a_standby_is_not_believed() {
    let pair = Pair::new();
    let key = pair.database.key("'event'");
    let mut standby = pair.database.on_standby(&pair.standby);
    let has_it = format!("SELECT count(*) FROM apikey.key WHERE prefix = '{}'", &key[..8]);
    eventually("the standby follows", || one(&mut standby, &has_it).as_deref() == Some("1"));
    for wanted in ["primary", "read-write"] {
        let shim = pair.shim(&format!("target_session_attrs={wanted}"));
        let load = pair.load(&shim);
        a_while();
        pair.database.cluster.kill_postmaster();
        if wanted == "primary" {
            one(&mut standby, "SELECT pg_promote()");
            one(&mut standby, &format!("SELECT apikey_revoke('{key}')"));
        }
        let begin = Instant::now();
        pair.database.cluster.make_standby();
        pair.database.cluster.start();
        recovery_and_a_while();
        // So that it has to choose again.
        end_sessions(&mut standby);
        a_while();
        assert_eq!(shim.ask(&key).status(), 401, "{}", shim.log());
        let [first, second] = pair.connections();
        assert!(first == 0 && second > 0, "{first} {second} {}", shim.log());
        let seen = load.stop();
        assert_right(&seen);
        assert_recovered(&seen, begin, &shim);
        let objection = if wanted == "primary" { "it is a standby" } else { "it is read-only" };
        assert!(shim.log().contains(objection), "{}", shim.log());
    }
}

#[test]
fn a_standby_is_preferred_and_can_be_done_without() {
    let pair = Pair::new();
    let shim = pair.shim("target_session_attrs=prefer-standby");
    let load = pair.load(&shim);
    a_while();
    let [first, second] = pair.connections();
    assert!(first == 0 && second > 0, "{first} {second}");
    let begin = Instant::now();
    pair.standby.kill_postmaster();
    recovery_and_a_while();
    assert_left(&load.stop(), begin, &shim);
}

#[test]
fn connections_are_spread_at_random() {
    let pair = Pair::new();
    let shim = pair.shim("load_balance_hosts=random");
    let mut clients = [pair.database.superuser(), pair.database.on_standby(&pair.standby)];
    let mut met = [false; 2];
    // One in 2^59 that this fails by chance.
    for _ in 0..60 {
        assert_eq!(shim.ask(&pair.keys[0].key).status(), 200, "{}", shim.log());
        for (client, met) in clients.iter_mut().zip(&mut met) {
            *met |= end_sessions(client) > 0;
        }
        if met == [true; 2] {
            return;
        }
        sleep(Duration::from_millis(20));
    }
    panic!("{met:?}");
}
