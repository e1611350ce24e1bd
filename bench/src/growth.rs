//! Checks in a table that grows.

use crate::calls::{CHECK, Calls, SELECT, compare, prefixes};
use crate::context::Context;
use crate::keys::{count_valid, create, fill};
use crate::pgbench::Statement;
use crate::plot::{Chart, Series};
use crate::report::{Report, Target, table, targets};
use crate::rounds::Spread;
use apikey_tests::{program, run};

/// What a key takes on the disk, at most: about 330 bytes of table and indexes, and its share of
/// the write-ahead log.
const BYTES_PER_KEY: u64 = 1_000;

pub fn measure(context: &Context, report: &mut Report) {
    let (small, large) = (context.database(), context.database());
    let [small_keys, large_keys] = [&small, &large].map(|database| {
        let keys = create(&mut database.superuser(), "in a table that grows", context.scale.keys);
        assert_eq!(count_valid(&mut database.superuser(), &keys), keys.len());
        keys
    });
    let sizes = affordable(context);
    let check = Statement::new(CHECK, &large_keys);
    let select = Statement::new(SELECT, &prefixes(&large_keys));

    let mut points = Vec::new();
    for size in &sizes {
        fill(&large, *size);
        let title = format!("{size} keys in the table");
        let calls = compare(
            context,
            &title,
            &[("warm check", &large, check.clone()), ("SELECT", &large, select.clone())],
        );
        let [check, select] = [0, 1].map(|which: usize| median(&calls[which]));
        points.push((*size as f64, check, select));
    }
    report_points(report, &points);

    let largest = *sizes.last().unwrap();
    let compared = [
        ("warm check, large table", &large, check),
        ("warm check, small table", &small, Statement::new(CHECK, &small_keys)),
    ];
    let calls = compare(context, "Large and small table", &compared);
    let ratio = Spread::of_ratios(&calls[0].cost, &calls[1].cost);
    let what = format!("warm check with {} keys : with {}", grouped(largest), grouped(sizes[0]));
    report.add("growth-targets", targets(&[Target::at_most(what, ratio, 1.3)]));
}

fn median(calls: &Calls) -> f64 {
    Spread::of(calls.cost.iter().copied()).median
}

fn report_points(report: &mut Report, points: &[(f64, f64, f64)]) {
    let rows: Vec<_> = points
        .iter()
        .map(|(size, check, select)| {
            [grouped(*size as u64), format!("{check:.2}"), format!("{select:.2}")]
        })
        .collect();
    let head = ["keys in the table", "warm check, µs of CPU", "`SELECT` by primary key, µs of CPU"];
    report.add("growth", table(head, &rows));
    let series = |name, value: fn(&(f64, f64, f64)) -> f64| Series {
        name,
        points: points.iter().map(|point| (point.0, value(point))).collect(),
    };
    let chart = Chart {
        title: "Server CPU per call, by the number of keys",
        x: "keys in the table (logarithmic)",
        y: "server CPU per call, µs",
        series: vec![
            series("warm apikey_check", |point| point.1),
            series("SELECT by primary key", |point| point.2),
        ],
    };
    report.add_image("bench-keys.svg", chart.svg());
}

/// The wanted sizes, the largest of them cut down to what the disk has room for.
fn affordable(context: &Context) -> Vec<u64> {
    let directory = context.directory.to_str().unwrap();
    let df = run(&mut program("df", &["--block-size=1", "--output=avail", directory])).success();
    let free: u64 = df.lines().last().unwrap().trim().parse().unwrap();
    let most = free / BYTES_PER_KEY / 1000 * 1000;
    let mut sizes = context.scale.sizes.clone();
    let largest = sizes.last_mut().unwrap();
    if *largest > most {
        eprintln!(
            "{} MB are free in {directory}: that is room for {most} keys, not {largest}.",
            free / 1_000_000
        );
        *largest = most;
        sizes.retain(|size| *size <= most);
        sizes.dedup();
    }
    sizes
}

/// 10,000,000.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_grouped_by_three() {
        assert_eq!([1, 1_000, 10_000_000].map(grouped), ["1", "1,000", "10,000,000"]);
    }
}
