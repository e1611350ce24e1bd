//! Throughput by the number of connections.

use crate::calls::{CHECK, ONE, SELECT, prefixes};
use crate::context::Context;
use crate::keys::{count_valid, create};
use crate::pgbench::{Length, Statement};
use crate::plot::{Chart, Series};
use crate::report::{Report, table};
use crate::rounds::{Measure, Spread, interleaved};

pub fn measure(context: &Context, report: &mut Report) {
    let database = context.database();
    let mut client = database.superuser();
    let keys = create(&mut client, "many connections", context.scale.keys);
    assert_eq!(count_valid(&mut client, &keys), keys.len());
    let prefixes = prefixes(&keys);
    let statements = [
        ("warm apikey_check", Statement::new(CHECK, &keys)),
        ("SELECT by primary key", Statement::new(SELECT, &prefixes)),
        ("SELECT 1", Statement::new(ONE, &prefixes)),
    ];

    let length = Length::Seconds(context.scale.seconds);
    let mut rows = Vec::new();
    for clients in &context.scale.connections {
        let measures = statements.iter().map(|(name, statement)| -> Measure<'_, f64> {
            let run = |round| statement.run(context, &database, *clients, round, length);
            (name, Box::new(move |round| run(round).per_second))
        });
        let title = format!("{clients} connections");
        let results = interleaved(&title, context.scale.rounds.min(5), measures.collect());
        let medians: Vec<_> = results.into_iter().map(|runs| Spread::of(runs).median).collect();
        rows.push((*clients, <[f64; 3]>::try_from(medians).unwrap()));
    }

    let lines: Vec<_> = rows
        .iter()
        .map(|(clients, [check, select, one])| {
            [
                clients.to_string(),
                format!("{check:.0}"),
                format!("{select:.0}"),
                format!("{one:.0}"),
            ]
        })
        .collect();
    let head = ["connections", "warm check", "`SELECT` by primary key", "`SELECT 1`"];
    report.add("connections", table(head, &lines));
    let series = statements.iter().enumerate().map(|(which, (name, _))| Series {
        name,
        points: rows
            .iter()
            .map(|(clients, values)| (*clients as f64, values[which] / 1e3))
            .collect(),
    });
    let chart = Chart {
        title: "Calls per second, by the number of connections",
        x: "connections (logarithmic)",
        y: "calls per second, in thousands",
        series: series.collect(),
    };
    report.add_image("bench-connections.svg", chart.svg());
}
