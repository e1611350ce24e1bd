//! Checks beside plain statements: CPU time of the server per call, and calls per second.

use crate::context::Context;
use crate::keys::{count_valid, create, prefix, unknown_prefix};
use crate::pgbench::{CLIENTS, Length, Run, Statement};
use crate::report::{Report, Target, table, targets};
use crate::rounds::{Measure, Spread, interleaved};
use apikey_tests::{Database, wrong_secret};

pub const CHECK: &str = "SELECT apikey_check(:value, :ip)";
/// One row by primary key, out of the very table that a check reads: all that a check looks at, and
/// one value alone. (pgbench reads on behind a variable that is the last word of a statement, and
/// may crash.)
pub const SELECT: &str =
    "SELECT verifier, auth, allowed_ips, expires_at, disabled_at, revoked_at, tenant, tag
                            FROM apikey.key WHERE :value = prefix";
pub const SELECT_VALUE: &str = "SELECT auth FROM apikey.key WHERE :value = prefix";
pub const ONE: &str = "SELECT 1";

impl<'a> Statement<'a> {
    pub fn new(sql: &'a str, values: &[String]) -> Self {
        Self { sql, values: values.to_vec(), options: "" }
    }
}

pub fn prefixes(keys: &[String]) -> Vec<String> {
    keys.iter().map(|key| prefix(key).to_owned()).collect()
}

/// What a statement came to, by round.
pub struct Calls {
    pub cost: Vec<f64>,
    pub per_second: Vec<f64>,
}

/// Runs these side by side.
pub fn compare(
    context: &Context,
    title: &str,
    statements: &[(&str, &Database, Statement<'_>)],
) -> Vec<Calls> {
    let run = |(_, database, statement): &(&str, &Database, Statement<'_>), round, length| {
        statement.run(context, database, CLIENTS, round, length)
    };
    let each = |length: Length| {
        let measures = statements.iter().map(|entry| -> Measure<'_, Run> {
            (entry.0, Box::new(move |round| run(entry, round, length)))
        });
        measures.collect()
    };
    let short_title = format!("{title}, what connecting and planning cost");
    let short = interleaved(&short_title, context.scale.rounds.min(3), each(Length::Short));
    let long =
        interleaved(title, context.scale.rounds, each(Length::Seconds(context.scale.seconds)));
    let both = short.into_iter().zip(long);
    both.map(|(mut short, long)| {
        short.sort_by_key(|run| run.cpu);
        let short = short[short.len() / 2];
        Calls {
            cost: long.iter().map(|run| run.cost(short)).collect(),
            per_second: long.iter().map(|run| run.per_second).collect(),
        }
    })
    .collect()
}

pub fn measure(context: &Context, report: &mut Report) {
    let database = context.database();
    let mut client = database.superuser();
    let keys = create(&mut client, "warm", context.scale.keys);
    let wrong: Vec<_> = keys.iter().map(|key| wrong_secret(key)).collect();
    let unknown: Vec<_> = keys.iter().map(|key| unknown_prefix(key)).collect();
    assert_eq!(count_valid(&mut client, &keys), keys.len());
    assert_eq!(count_valid(&mut client, &wrong) + count_valid(&mut client, &unknown), 0);
    drop(client);

    let prefixes = prefixes(&keys);
    let uncounted =
        Statement { options: "-c apikey.track_usage=off", ..Statement::new(CHECK, &keys) };
    let statements = [
        ("warm check", &database, Statement::new(CHECK, &keys)),
        ("`SELECT` of one row by primary key", &database, Statement::new(SELECT, &prefixes)),
        ("`SELECT` of one value of it", &database, Statement::new(SELECT_VALUE, &prefixes)),
        ("`SELECT 1`", &database, Statement::new(ONE, &prefixes)),
        ("check, wrong secret", &database, Statement::new(CHECK, &wrong)),
        ("check, unknown prefix", &database, Statement::new(CHECK, &unknown)),
        ("warm check, usage not counted", &database, uncounted),
    ];
    let calls = compare(context, "Calls", &statements);
    let rows: Vec<_> = statements
        .iter()
        .zip(&calls)
        .map(|((name, ..), calls)| {
            let cost = Spread::of(calls.cost.iter().copied());
            let per_second = Spread::of(calls.per_second.iter().copied());
            [(*name).to_owned(), format!("{:.2}", cost.median), format!("{:.0}", per_second.median)]
        })
        .collect();
    report.add("calls", table(["statement", "CPU, µs per call", "calls per second"], &rows));

    let [warm, select, value, one, wrong, unknown, uncounted] = calls.try_into().ok().unwrap();
    let target = |what, this: &Calls, that: &Calls, bound| {
        Target::at_most(what, Spread::of_ratios(&this.cost, &that.cost), bound)
    };
    let shown = |what, this: &Calls, that: &Calls| {
        Target::shown(what, Spread::of_ratios(&this.cost, &that.cost))
    };
    let rows = [
        target("warm check : `SELECT` of one row by primary key", &warm, &select, 1.0),
        target("warm check : `SELECT 1`", &warm, &one, 1.2),
        shown("`SELECT` of one row by primary key : `SELECT 1`", &select, &one),
        shown("warm check : `SELECT` of one value of it", &warm, &value),
        target("wrong secret of a known prefix : warm check", &wrong, &warm, 1.1),
        target("unknown prefix : warm check", &unknown, &warm, 1.0),
        target("usage counted : not counted", &warm, &uncounted, 1.03),
    ];
    report.add("call-targets", targets(&rows));
}
