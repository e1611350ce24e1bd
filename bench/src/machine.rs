//! What was measured, and on what.

use crate::context::Context;
use crate::pgbench::{self, CLIENTS};
use crate::report::{Report, table};
use apikey_tests::{from_test_script, one, program, run};
use std::fs;

pub fn describe(context: &Context, report: &mut Report, command: &str) {
    let database = context.database();
    let ask = |sql: &str| one(&mut database.superuser(), sql).unwrap();
    let date = ask("SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD')");
    report.note("date", date);
    report.note("command", command);
    report.note("rounds", context.scale.rounds);
    report.note("seconds", context.scale.seconds);
    report.note("clients", CLIENTS);

    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap();
    let memory = fs::read_to_string("/proc/meminfo").unwrap();
    let kilobytes: f64 = field(&memory, "MemTotal").trim_end_matches(" kB").parse().unwrap();
    let is_virtual = field(&cpu, "flags").split(' ').any(|flag| flag == "hypervisor");
    let rows = [
        ("processor", field(&cpu, "model name")),
        ("cores", context.cores.to_string()),
        ("memory", format!("{:.0} GiB", kilobytes / 1024.0 / 1024.0)),
        ("virtual machine", if is_virtual { "yes" } else { "no" }.to_owned()),
        ("kernel", first_line("uname", &["-sr"])),
        ("Postgres", ask("SHOW server_version")),
        ("`shared_buffers`", ask("SHOW shared_buffers")),
        ("apikey", ask("SELECT extversion FROM pg_extension WHERE extname = 'apikey'")),
        ("compiler", first_line("rustc", &["--version"])),
        ("pgbench", pgbench::version()),
        ("wrk", first_line("wrk", &["--version"])),
        ("Python", first_line(&from_test_script("APIKEY_PYTHON_BENCH"), &["--version"])),
        ("Django", python_package("django")),
        ("Django REST framework", python_package("djangorestframework")),
        ("djangorestframework-api-key", python_package("djangorestframework-api-key")),
        ("psycopg", python_package("psycopg")),
        ("gunicorn", python_package("gunicorn")),
    ];
    let rows = rows.map(|(what, which)| [what.to_owned(), which]);
    report.add("machine", table(["what", "which"], &rows));
}

/// Of a file of /proc with lines `NAME : VALUE`.
fn field(file: &str, name: &str) -> String {
    let line = file.lines().find_map(|line| line.strip_prefix(name)?.split_once(':'));
    line.map_or_else(|| "unknown".to_owned(), |(_, value)| value.trim().to_owned())
}

/// wrk gives its version with a status of 1.
fn first_line(name: &str, arguments: &[&str]) -> String {
    let output = run(&mut program(name, arguments));
    output.stdout.lines().next().unwrap_or("unknown").to_owned()
}

fn python_package(name: &str) -> String {
    let code = format!("import importlib.metadata as m; print(m.version('{name}'))");
    first_line(&from_test_script("APIKEY_PYTHON_BENCH"), &["-c", &code])
}
