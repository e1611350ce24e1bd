//! The shim beside the least that there could be instead, and beside Django.

use crate::calls::{ONE, prefixes};
use crate::context::Context;
use crate::django;
use crate::keys::{count_valid, create};
use crate::paced::{Latency, paced};
use crate::pgbench::{Length, Statement};
use crate::report::{Report, Target, table, targets};
use crate::rounds::{Measure, Spread, interleaved};
use crate::web::WebServer;
use crate::wrk::wrk;
use apikey_tests::{Database, wrong_secret};
use std::time::Duration;

/// Connections of the shim to Postgres, if it is told nothing else.
const POOL: usize = 10;
const KEYS: usize = 100;

/// Of one round: CPU in microseconds per request, all processes of ours together, and requests per
/// second.
#[derive(Clone, Copy)]
struct Load {
    cost: f64,
    per_second: f64,
}

pub fn measure(context: &Context, report: &mut Report) {
    let mut database = context.database();
    let mut client = database.superuser();
    let keys = create(&mut client, "over HTTP", KEYS);
    assert_eq!(count_valid(&mut client, &keys), keys.len());
    let checker = database.checker();
    let shim = WebServer::shim(context, &database, &checker);

    let highest = throughput(context, report, &database, &shim, &keys);
    latency(context, report, &shim, &keys[0], highest / 2.0);
}

/// Returns the shim's own, in requests per second.
fn throughput(
    context: &Context,
    report: &mut Report,
    database: &Database,
    shim: &WebServer,
    keys: &[String],
) -> f64 {
    let seconds = context.scale.seconds;
    let wrong: Vec<_> = keys.iter().map(|key| wrong_secret(key)).collect();
    let constant = WebServer::constant();
    let django_keys = django::keys(context, database, KEYS);
    let [django, lean] = [django::USUAL, django::LEAN]
        .map(|settings| WebServer::django(context, django::python(context, database, settings)));
    let one = Statement::new(ONE, &prefixes(keys));
    let one_run = |round, length| one.run(context, database, POOL, round, length);

    let ask = |server: &WebServer, keys: &[String], refused| {
        let cpu = || server.cpu() + context.server.cpu();
        load(cpu, || {
            let requests = wrk(&server.url(), keys, seconds, refused);
            (requests.answered, requests.per_second)
        })
    };
    eprintln!("HTTP: warming up ...");
    ask(shim, keys, false);
    ask(&django, &django_keys, false);
    ask(&lean, &django_keys, false);
    let short = one_run(0, Length::Short);
    let select_one = |round| {
        let run = one_run(round, Length::Seconds(seconds));
        Load { cost: run.cost(short), per_second: run.per_second }
    };

    let measures: Vec<Measure<'_, Load>> = vec![
        ("shim, valid key", Box::new(|_| ask(shim, keys, false))),
        ("shim, wrong secret", Box::new(|_| ask(shim, &wrong, true))),
        ("hyper, constant answer", Box::new(|_| ask(&constant, keys, false))),
        ("`SELECT 1` by pgbench", Box::new(select_one)),
        ("Django", Box::new(|_| ask(&django, &django_keys, false))),
        ("Django, stripped", Box::new(|_| ask(&lean, &django_keys, false))),
    ];
    let names: Vec<_> = measures.iter().map(|(name, _)| (*name).to_owned()).collect();
    let results = interleaved("HTTP", context.scale.rounds, measures);

    let median = |loads: &[Load], of: fn(&Load) -> f64| Spread::of(loads.iter().map(of)).median;
    let rows: Vec<_> = names
        .into_iter()
        .zip(&results)
        .map(|(name, loads)| {
            let cost = format!("{:.1}", median(loads, |load| load.cost));
            let cost = if name.starts_with("Django") { "not measured".to_owned() } else { cost };
            [name, cost, format!("{:.0}", median(loads, |load| load.per_second))]
        })
        .collect();
    report.add("http", table(["what", "CPU, µs per request", "requests per second"], &rows));
    report.add("http-targets", compared(&results));
    median(&results[0], |load| load.per_second)
}

fn load(cpu: impl Fn() -> Duration, work: impl FnOnce() -> (u64, f64)) -> Load {
    let before = cpu();
    let (requests, per_second) = work();
    let cost = (cpu() - before).as_secs_f64() * 1e6 / requests as f64;
    Load { cost, per_second }
}

fn compared(results: &[Vec<Load>]) -> String {
    let column = |which: usize, of: fn(&Load) -> f64| -> Vec<f64> {
        results[which].iter().map(of).collect()
    };
    let costs = |which| column(which, |load| load.cost);
    let rates = |which| column(which, |load| load.per_second);
    let least: Vec<_> = costs(2).iter().zip(costs(3)).map(|(http, sql)| http + sql).collect();
    targets(&[
        Target::at_most(
            "CPU: keytest : hyper's constant answer + `SELECT 1`",
            Spread::of_ratios(&costs(0), &least),
            1.25,
        ),
        Target::at_most(
            "CPU: wrong secret : valid key",
            Spread::of_ratios(&costs(1), &costs(0)),
            1.1,
        ),
        Target::at_least(
            "requests per second: shim : Django",
            Spread::of_ratios(&rates(0), &rates(4)),
            60.0,
        ),
        Target::shown(
            "requests per second: shim : Django, stripped",
            Spread::of_ratios(&rates(0), &rates(5)),
        ),
    ])
}

/// The shim's, and that of a server that asks nobody, at the same rate: what is left when the
/// shim's part is taken away is the machine's and the load generator's.
fn latency(context: &Context, report: &mut Report, shim: &WebServer, key: &str, rate: f64) {
    let seconds = 2 * context.scale.seconds;
    let constant = WebServer::constant();
    let run = |server: &WebServer| paced(server.address(), &server.request(key), rate, seconds);
    let measures: Vec<Measure<'_, Latency>> = vec![
        ("shim", Box::new(|_| run(shim))),
        ("hyper, constant answer", Box::new(|_| run(&constant))),
    ];
    let names: Vec<_> = measures.iter().map(|(name, _)| (*name).to_owned()).collect();
    let results = interleaved("Latency", context.scale.rounds, measures);
    let median = |runs: &[Latency], of: fn(&Latency) -> f64| {
        format!("{:.0}", Spread::of(runs.iter().map(of)).median)
    };
    let rows: Vec<_> = names
        .into_iter()
        .zip(&results)
        .map(|(name, runs)| {
            let columns: [fn(&Latency) -> f64; 5] =
                [|run| run.per_second, |run| run.p50, |run| run.p90, |run| run.p98, |run| run.p99];
            let [per_second, p50, p90, p98, p99] = columns.map(|of| median(runs, of));
            [name, per_second, p50, p90, p98, p99]
        })
        .collect();
    let header = ["what", "requests per second", "p50, µs", "p90, µs", "p98, µs", "p99, µs"];
    report.add("latency", table(header, &rows));
    let p99 = |runs: &[Latency]| Spread::of(runs.iter().map(|run| run.p99 / run.p50));
    let p98 = |runs: &[Latency]| Spread::of(runs.iter().map(|run| run.p98 / run.p50));
    let rows = [
        Target::at_most("shim: p99 : p50", p99(&results[0]), 3.0),
        Target::shown("shim: p98 : p50", p98(&results[0])),
        Target::shown("hyper, constant answer: p99 : p50", p99(&results[1])),
    ];
    report.add("latency-targets", targets(&rows));
}
