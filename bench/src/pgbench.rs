//! pgbench on the server's Unix socket, and the CPU time that it costs the server.

use crate::context::Context;
use apikey_tests::{Database, from_test_script, program, run};
use std::fs;
use std::time::Duration;

/// A statement with one value in it, `:value`, as pgbench sends it: prepared, the value a
/// parameter.
#[derive(Clone)]
pub struct Statement<'a> {
    pub sql: &'a str,
    /// A round takes the next ones, and mixes them at random.
    pub values: Vec<String>,
    /// Settings of the connection, as PGOPTIONS has them.
    pub options: &'a str,
}

/// Each is a script of its own, a prepared statement of its own. pgbench mixes at most 128.
const VALUES_AT_ONCE: usize = 50;

/// More connections than most machines for this have cores, so that none is idle.
pub const CLIENTS: usize = 4;

/// What one run of pgbench did.
#[derive(Clone, Copy)]
pub struct Run {
    pub calls: u64,
    pub per_second: f64,
    pub cpu: Duration,
}

impl Run {
    /// CPU time of the server in microseconds per call. Connecting and planning are in the short
    /// run, too, and so are taken out.
    pub fn cost(self, short: Self) -> f64 {
        assert!(self.calls > short.calls, "a run was too short to mean anything");
        let cpu = self.cpu.saturating_sub(short.cpu);
        cpu.as_secs_f64() * 1e6 / (self.calls - short.calls) as f64
    }
}

/// How long a run is.
#[derive(Clone, Copy)]
pub enum Length {
    Seconds(u32),
    /// Just long enough that each connection has planned each statement for good, which takes five
    /// calls.
    Short,
}

impl Statement<'_> {
    pub fn run(
        &self,
        context: &Context,
        database: &Database,
        clients: usize,
        round: usize,
        length: Length,
    ) -> Run {
        let count = VALUES_AT_ONCE.min(self.values.len());
        let values = self.values.iter().cycle().skip(round * count % self.values.len()).take(count);
        let scripts = tempfile::tempdir().unwrap();
        let threads = clients.min(context.cores).to_string();
        let mut pgbench = program(&context.server_program("pgbench"), &["-n", "-M", "prepared"]);
        pgbench.args(["-c", &clients.to_string(), "-j", &threads, "-D", "ip=127.0.0.1"]);
        for (number, value) in values.enumerate() {
            let script = scripts.path().join(number.to_string());
            fs::write(&script, self.sql.replace(":value", &format!(":value{number}"))).unwrap();
            pgbench.arg("-D").arg(format!("value{number}={value}")).arg("-f").arg(script);
        }
        match length {
            Length::Seconds(seconds) => pgbench.args(["-T", &seconds.to_string()]),
            Length::Short => pgbench.args(["-t", "500"]),
        };
        pgbench
            .env("PGHOST", context.socket())
            .env("PGPORT", database.port().to_string())
            .env("PGDATABASE", &database.name)
            .env("PGUSER", "postgres")
            .env("PGPASSFILE", context.directory.join("pgpass"))
            .env("PGOPTIONS", self.options);
        let (output, cpu) = context.server.cpu_of(|| run(&mut pgbench).success());
        assert_eq!(number(&output, "number of failed transactions: "), 0.0, "{output}");
        Run {
            calls: number(&output, "number of transactions actually processed: ") as u64,
            per_second: number(&output, "tps = "),
            cpu,
        }
    }
}

/// The number after these words.
fn number(output: &str, words: &str) -> f64 {
    let rest = output.split_once(words).unwrap_or_else(|| panic!("no {words}in {output}")).1;
    rest.split([' ', '\n', '/']).next().unwrap().parse().unwrap()
}

/// pgbench's own version, as it says it.
pub fn version() -> String {
    let bindir = run(&mut program(&from_test_script("PG_CONFIG"), &["--bindir"])).success();
    run(&mut program(&format!("{bindir}/pgbench"), &["--version"])).success()
}
