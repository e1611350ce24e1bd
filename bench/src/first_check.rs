//! The first check of a key beside one run of Argon2id, and what a thousand of them leave in a
//! backend's memory.

use crate::context::Context;
use crate::cpu::{anonymous_memory, process_cpu};
use crate::keys::{create, set_default_cost};
use crate::report::{Report, Target, table, targets, yes_no};
use crate::rounds::Spread;
use apikey_tests::Database;
use postgres::Client;
use std::thread::sleep;
use std::time::Duration;

const CHECK: &str = "SELECT apikey_check($1, '127.0.0.1') IS NOT NULL";
/// One run of Argon2id with the same parameters, in the same process, and no more.
const HASH: &str = "SELECT apikey.make_verifier($1) IS NOT NULL";

const MEBIBYTE: f64 = 1024.0 * 1024.0;

/// A connection for which keys cost what they cost by default, and its process.
struct Backend {
    client: Client,
    pid: u32,
}

impl Backend {
    fn new(database: &Database) -> Self {
        let mut client = database.superuser();
        set_default_cost(&mut client);
        let pid: i32 = client.query_one("SELECT pg_backend_pid()", &[]).unwrap().get(0);
        Self { client, pid: pid.cast_unsigned() }
    }

    fn keys(&mut self, label: &str, count: usize) -> Vec<String> {
        create(&mut self.client, label, count)
    }

    /// Its CPU time so far. The kernel's count is exact as soon as the process sleeps, which is
    /// just after it has answered.
    fn cpu(&self) -> Duration {
        sleep(Duration::from_millis(1));
        process_cpu(self.pid)
    }

    /// Asks a question whose answer must be true, and says what it cost, in milliseconds.
    fn cost(&mut self, sql: &str, key: &str) -> f64 {
        let before = self.cpu();
        assert!(self.client.query_one(sql, &[&key]).unwrap().get::<_, bool>(0), "{sql}");
        (self.cpu() - before).as_secs_f64() * 1e3
    }
}

pub fn measure(context: &Context, report: &mut Report) {
    let database = context.database();
    hash(context, report, &database);
    memory(context, report, &database);
}

fn hash(context: &Context, report: &mut Report, database: &Database) {
    let mut backend = Backend::new(database);
    let per_round = context.scale.hashes;
    let keys = backend.keys("first checks", context.scale.rounds * per_round + 1);
    let (warm_up, keys) = keys.split_first().unwrap();
    backend.cost(HASH, warm_up);
    backend.cost(CHECK, warm_up);

    let (mut hashes, mut checks) = (Vec::new(), Vec::new());
    for (round, keys) in keys.chunks(per_round).enumerate() {
        eprintln!("First checks, round {} of {} ...", round + 1, context.scale.rounds);
        let (mut hash, mut check) = (0.0, 0.0);
        for (turn, key) in keys.iter().enumerate() {
            if turn % 2 == 0 {
                hash += backend.cost(HASH, key);
                check += backend.cost(CHECK, key);
            } else {
                check += backend.cost(CHECK, key);
                hash += backend.cost(HASH, key);
            }
        }
        hashes.push(hash / per_round as f64);
        checks.push(check / per_round as f64);
    }

    let row = |what: &str, costs: &[f64]| {
        [what.to_owned(), format!("{:.2}", Spread::of(costs.iter().copied()).median)]
    };
    let rows =
        [row("one run of Argon2id", &hashes), row("first check of a key, all of it", &checks)];
    report.add("first-check", table(["what", "CPU, ms"], &rows));
    report.add(
        "first-check-targets",
        targets(&[Target::at_most(
            "first check of a key : one run of Argon2id",
            Spread::of_ratios(&checks, &hashes),
            1.1,
        )]),
    );
}

fn memory(context: &Context, report: &mut Report, database: &Database) {
    let count = context.scale.first_checks;
    let keys = Backend::new(database).keys("memory", count);
    let mut backend = Backend::new(database);
    let statement = backend.client.prepare(CHECK).unwrap();
    let mib = |backend: &Backend| anonymous_memory(backend.pid) as f64 / MEBIBYTE;

    eprintln!("Memory of a backend, {count} first checks ...");
    let before = mib(&backend);
    for key in &keys {
        assert!(backend.client.query_one(&statement, &[key]).unwrap().get::<_, bool>(0));
    }
    let after = mib(&backend);
    let more = after - before;
    let row = [
        format!("{before:.2}"),
        format!("{after:.2}"),
        format!("{more:.2}"),
        "1".to_owned(),
        yes_no(more <= 1.0),
    ];
    let after_checks = format!("MiB after {count} first checks");
    let head = ["MiB before", &after_checks, "more", "at most", "reached"];
    report.add("memory", table(head, &[row]));
    report.require(more <= 1.0, format!("{count} first checks left {more:.2} MiB in a backend"));
}
