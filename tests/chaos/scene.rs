//! A server, a shim, keys, and clients that ask about them while something happens.

use apikey_tests::{Asked, Cluster, Database, Load, Login, Seen, Shim, one, wrong_secret};
use postgres::Client;
use std::ops::Range;
use std::thread::sleep;
use std::time::{Duration, Instant};

pub const FLAGS: [&str; 4] = ["--log", "info", "--request-timeout", "2s"];
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);

/// How soon all has to be well after a fault is over.
pub const RECOVERY: Duration = Duration::from_secs(2);

/// What the test's machine may add to a time limit: it has other things to do.
pub const SLACK: Duration = Duration::from_secs(1);

pub struct Scene {
    pub shim: Shim,
    pub keys: Vec<Asked>,
    pub login: Login,
    pub database: Database,
}

impl Scene {
    pub fn new(settings: &[&str], flags: &[&str]) -> Self {
        Self::in_cluster(Cluster::preloaded(settings), flags)
    }

    pub fn in_cluster(cluster: Cluster, flags: &[&str]) -> Self {
        let mut database = Database::in_cluster(cluster);
        let login = database.checker();
        let keys = keys(&database);
        let shim = Shim::start_as(&login, &database.conninfo(&login), &[&FLAGS, flags].concat());
        Self { database, login, keys, shim }
    }

    /// Four clients, who have got right answers before this returns.
    pub fn load(&self) -> Load {
        for Asked { key, is_good } in &self.keys {
            let expected = if *is_good { 200 } else { 401 };
            assert_eq!(self.shim.ask(key).status(), expected, "{}", self.shim.log());
        }
        Load::start(self.shim.address, 4, &self.keys)
    }

    /// A fault is over now.
    #[track_caller]
    pub fn assert_recovers(&self, load: Load) -> Vec<Seen> {
        let back = Instant::now();
        recovery_and_a_while();
        let seen = load.stop();
        assert_right(&seen);
        assert_recovered(&seen, back, &self.shim);
        seen
    }

    /// A good key.
    pub fn good(&self) -> &str {
        &self.keys[0].key
    }
}

/// A good one, one that is revoked, and one with a wrong secret.
pub fn keys(database: &Database) -> Vec<Asked> {
    let good = database.key("'event'");
    let revoked = database.key("'event'");
    one(&mut database.superuser(), &format!("SELECT apikey_revoke('{revoked}')"));
    let wrong = wrong_secret(&good);
    [(good, true), (revoked, false), (wrong, false)]
        .map(|(key, is_good)| Asked { key, is_good })
        .into()
}

/// How many sessions the shim has.
pub const SESSIONS: &str =
    "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'apikey-shim'";

/// Ends all of them, and says how many there were.
pub fn end_sessions(client: &mut Client) -> u64 {
    let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
        WHERE application_name = 'apikey-shim'";
    one(client, end).unwrap().parse().unwrap()
}

/// Lets the clients ask for a while.
pub fn a_while() {
    sleep(Duration::from_millis(500));
}

/// Lets them ask until recovery is over, and longer.
pub fn recovery_and_a_while() {
    sleep(RECOVERY + Duration::from_millis(500));
}

/// No wrong accept and no wrong refusal, ever; and the time limit was kept.
#[track_caller]
pub fn assert_right(seen: &[Seen]) {
    assert!(seen.len() > 100, "only {} answers", seen.len());
    for seen in seen {
        let may_be = if seen.is_good { [200, 503] } else { [401, 503] };
        assert!(seen.status.is_some_and(|status| may_be.contains(&status)), "{seen:?}");
        assert!(seen.took < REQUEST_TIMEOUT + SLACK, "{seen:?}");
    }
}

/// Whether a fault was to be seen.
pub fn is_any_unavailable(seen: &[Seen]) -> bool {
    seen.iter().any(|seen| seen.status == Some(503))
}

/// From two seconds after that moment on there are verdicts, and nothing else.
#[track_caller]
pub fn assert_recovered(seen: &[Seen], since: Instant, shim: &Shim) {
    let after: Vec<_> = seen.iter().filter(|seen| seen.at > since + RECOVERY).collect();
    assert!(after.len() > 10, "only {} answers after the recovery", after.len());
    for seen in after {
        let verdict = if seen.is_good { 200 } else { 401 };
        assert_eq!(seen.status, Some(verdict), "{seen:?}\n{}", shim.log());
    }
}

pub fn p99(seen: &[Seen], during: Range<Instant>) -> Duration {
    let of = |seen: &&Seen| during.contains(&seen.at);
    let mut times: Vec<_> = seen.iter().filter(of).map(|seen| seen.took).collect();
    times.sort();
    times[times.len() * 99 / 100]
}
