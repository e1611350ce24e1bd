//! Is a key accepted by a check that began after the revocation's commit? Sixteen connections check
//! keys as fast as they can while another one revokes them, one after the other.

use crate::context::Context;
use crate::keys::{count_valid, create, prefix};
use crate::report::{Report, table};
use apikey_tests::Database;
use postgres::Client;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

const CONNECTIONS: usize = 16;
/// The checkers stay this close to the key that is revoked next, on either side.
const NEAR: usize = 8;
/// Between two revocations, so that there is time for checks.
const PAUSE: Duration = Duration::from_millis(2);

/// The ways to end a key, in turn.
const WAYS: [(&str, &str); 4] = [
    ("`apikey_revoke`", "SELECT apikey_revoke($1, 'benchmark')"),
    ("`UPDATE` of `revoked_at`", "UPDATE apikey.key SET revoked_at = now() WHERE prefix = $1"),
    ("`DELETE`", "DELETE FROM apikey.key WHERE prefix = $1"),
    ("`apikey_disable`", "SELECT apikey_disable($1)"),
];

struct Check {
    key: usize,
    began: Instant,
    accepted: bool,
}

pub fn measure(context: &Context, report: &mut Report) {
    let database = context.database();
    let mut client = database.superuser();
    let keys = create(&mut client, "to be revoked", context.scale.revocations);
    assert_eq!(count_valid(&mut client, &keys), keys.len());

    eprintln!("{} revocations under {CONNECTIONS} connections ...", keys.len());
    let (next, done) = (AtomicUsize::new(0), AtomicBool::new(false));
    let (checks, revoked) = scope(|scope| {
        let checker = |phase| check(&database, &keys, phase, &next, &done);
        let start = |phase| scope.spawn(move || checker(phase));
        let checkers: Vec<_> = (0..CONNECTIONS).map(start).collect();
        let revoked = revoke(&mut client, &keys, &next);
        done.store(true, Ordering::Relaxed);
        let checks = checkers.into_iter().flat_map(|checker| checker.join().unwrap());
        (checks.collect::<Vec<_>>(), revoked)
    });

    let rows: Vec<_> = WAYS
        .iter()
        .enumerate()
        .map(|(way, (name, _))| {
            let count = |of: &dyn Fn(&Check) -> bool| {
                let checks = checks.iter().filter(|check| check.key % WAYS.len() == way);
                checks.filter(|check| of(check)).count()
            };
            let late = |check: &Check| check.began > revoked[check.key];
            let revocations = keys.iter().skip(way).step_by(WAYS.len()).count();
            let accepted_late = count(&|check| late(check) && check.accepted);
            report.require(
                accepted_late == 0,
                format!("{accepted_late} checks accepted a key after {name} had committed"),
            );
            let before = count(&|check| !late(check) && check.accepted);
            [revocations, before, count(&late), accepted_late].map(|n| n.to_string())
        })
        .zip(WAYS)
        .map(|([n, before, late, accepted], (name, _))| {
            [name.to_owned(), n, before, late, accepted]
        })
        .collect();
    let head = [
        "way",
        "keys ended",
        "accepted before",
        "checks begun after the commit",
        "of these accepted",
    ];
    report.add("revocation", table(head, &rows));
}

/// Checks the keys around the next one to go, until all are gone.
fn check(
    database: &Database,
    keys: &[String],
    phase: usize,
    next: &AtomicUsize,
    done: &AtomicBool,
) -> Vec<Check> {
    let mut client = database.superuser();
    let statement = client.prepare("SELECT apikey_check($1, '127.0.0.1') IS NOT NULL").unwrap();
    let mut checks = Vec::new();
    let mut turn = phase;
    while !done.load(Ordering::Relaxed) {
        turn += 1;
        let place = next.load(Ordering::Relaxed) + turn % (2 * NEAR);
        let key = place.saturating_sub(NEAR).min(keys.len() - 1);
        let began = Instant::now();
        let accepted = client.query_one(&statement, &[&keys[key]]).unwrap().get(0);
        checks.push(Check { key, began, accepted });
    }
    checks
}

/// Ends each key, and says when its commit's answer was here.
fn revoke(client: &mut Client, keys: &[String], next: &AtomicUsize) -> Vec<Instant> {
    let statements = WAYS.map(|(_, sql)| client.prepare(sql).unwrap());
    let revoked = keys.iter().enumerate().map(|(number, key)| {
        sleep(PAUSE);
        client.execute(&statements[number % WAYS.len()], &[&prefix(key)]).unwrap();
        let committed = Instant::now();
        next.store(number + 1, Ordering::Relaxed);
        committed
    });
    revoked.collect()
}
