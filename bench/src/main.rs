//! `make bench`: what a check costs, beside what it could cost at least. `scripts/bench` calls it.

#![forbid(unsafe_code)]

mod calls;
mod connections;
mod context;
mod cpu;
mod django;
mod first_check;
mod growth;
mod http;
mod keys;
mod machine;
mod paced;
mod pgbench;
mod plot;
mod report;
mod revocation;
mod rounds;
mod web;
mod wrk;

use clap::Parser;
use context::{Context, Scale};
use report::Report;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Compares checks of keys with what they could cost at least.
#[derive(Parser)]
struct Arguments {
    /// Small numbers and one round: shows that all works, not what it costs
    #[arg(long)]
    quick: bool,
    /// Write the page to FILE, and its curves into the directory images beside it
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Measure these alone (there is no page then)
    #[arg(long = "part", value_name = "PART", conflicts_with = "output")]
    parts: Vec<Part>,
}

#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
enum Part {
    Calls,
    FirstCheck,
    Revocation,
    Growth,
    Connections,
    Http,
}

type Measure = fn(&Context, &mut Report);

const PARTS: [(Part, Measure); 6] = [
    (Part::Calls, calls::measure),
    (Part::FirstCheck, first_check::measure),
    (Part::Revocation, revocation::measure),
    (Part::Growth, growth::measure),
    (Part::Connections, connections::measure),
    (Part::Http, http::measure),
];

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(output) = &arguments.output {
        // Now, rather than when all has been measured.
        std::fs::create_dir_all(images(output)).unwrap();
    }
    let context = Context::new(if arguments.quick { Scale::quick() } else { Scale::full() });
    let mut report = Report::default();
    let command = if arguments.quick { "make bench QUICK=1" } else { "make bench" };
    machine::describe(&context, &mut report, command);
    for (part, measure) in PARTS {
        if arguments.parts.is_empty() || arguments.parts.contains(&part) {
            measure(&context, &mut report);
        }
    }
    if let Some(output) = &arguments.output {
        write(output, &report);
    }
    for failure in report.failures() {
        eprintln!("FAILED: {failure}");
    }
    if report.failures().is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn write(output: &Path, report: &Report) {
    let place = |path: &Path, text: &str| {
        std::fs::write(path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        eprintln!("Wrote {}.", path.display());
    };
    place(output, &report.page(include_str!("../benchmarks.md")));
    for (name, svg) in report.images() {
        place(&images(output).join(name), svg);
    }
}

fn images(output: &Path) -> PathBuf {
    output.with_file_name("images")
}
