//! The shim's connections go to pgbouncer, in transaction mode, with fewer sessions than clients:
//! what is prepared in one session is not there in the next.

use crate::scene::{FLAGS, keys};
use apikey_tests::{Cluster, Database, Load, Login, Pgbouncer, Seen, Shim};
use std::time::Duration;

struct Pooled {
    database: Database,
    login: Login,
}

impl Pooled {
    fn new() -> Self {
        let mut database = Database::in_cluster(Cluster::preloaded(&["log_statement = 'all'"]));
        let login = database.checker();
        Self { database, login }
    }

    fn shim(&self, port: u16, flags: &[&str]) -> Shim {
        let conninfo = format!(
            "host=127.0.0.1 port={port} user={} dbname={} sslmode=disable",
            self.login.role, self.database.name
        );
        Shim::start_as(&self.login, &conninfo, &[&FLAGS, flags].concat())
    }
}

fn assert_verdicts(seen: &[Seen], shim: &Shim) {
    assert!(seen.len() > 500, "only {}", seen.len());
    for seen in seen {
        let verdict = if seen.is_good { 200 } else { 401 };
        assert_eq!(seen.status, Some(verdict), "{seen:?}\n{}", shim.log());
    }
}

/// Two shims whose first statement differs, so that each would call the other's by the name of its
/// own.
fn nothing_fails_under_load(settings: &[&str]) {
    let pooled = Pooled::new();
    let settings = [&["default_pool_size = 2"], settings].concat();
    let pooler = Pgbouncer::start_with(&pooled.database, &pooled.login, &settings);
    let keys = keys(&pooled.database);
    let mut tenants = keys.clone();
    tenants[0].key = pooled.database.key("'event', tenant => 'a'");
    let shims = [pooled.shim(pooler.port(), &[]), pooled.shim(pooler.port(), &["--tenant", "a"])];
    let loads =
        [Load::start(shims[0].address, 8, &keys), Load::start(shims[1].address, 8, &tenants)];
    std::thread::sleep(Duration::from_secs(2));
    for (load, shim) in loads.into_iter().zip(&shims) {
        assert_verdicts(&load.stop(), shim);
    }
    let log = pooled.database.cluster.log();
    assert!(log.contains("execute <unnamed>: SELECT apikey.check_key"), "{log}");
    assert!(!log.contains("execute s"), "a statement was prepared through the pooler");
}

/// It refuses what it does not know in the startup packet, unless it is told to ignore it.
#[test]
fn a_pooler_that_refuses_options() {
    nothing_fails_under_load(&[]);
}

#[test]
fn a_pooler_that_ignores_options() {
    nothing_fails_under_load(&["ignore_startup_parameters = options"]);
}

/// From version 1.21 on it can keep track of prepared statements.
#[test]
fn a_pooler_that_keeps_track_of_statements() {
    if !Pgbouncer::has_version(1, 21) {
        eprintln!(
            "skipped: this pgbouncer is older than 1.21, and knows no max_prepared_statements"
        );
        return;
    }
    for settings in ["max_prepared_statements = 0", "max_prepared_statements = 100"] {
        nothing_fails_under_load(&[settings]);
    }
}

#[test]
fn without_a_pooler_statements_are_prepared() {
    let pooled = Pooled::new();
    let shim = pooled.shim(pooled.database.port(), &[]);
    let key = pooled.database.key("'event'");
    for _ in 0..3 {
        assert_eq!(shim.ask(&key).status(), 200);
    }
    let log = pooled.database.cluster.log();
    assert!(log.contains("execute s0: SELECT apikey.check_key"), "{log}");
    assert!(!log.contains("execute <unnamed>: SELECT apikey.check_key"), "{log}");
}
