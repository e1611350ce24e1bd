//! Django REST framework with djangorestframework-api-key, in `bench/django`, on the same Postgres.

use crate::context::Context;
use apikey_tests::{Database, from_test_script, program, run};
use std::process::Command;

const PROJECT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/django");

/// The two projects, by their settings: as Django makes one, and with as little of it as can be.
pub const USUAL: &str = "keytest.settings";
pub const LEAN: &str = "keytest.lean";

/// Its Python, told where the project and the database are.
pub fn python(context: &Context, database: &Database, settings: &str) -> Command {
    let superuser = database.cluster.superuser();
    let mut command = program(&from_test_script("APIKEY_PYTHON_BENCH"), &[]);
    command
        .current_dir(PROJECT)
        .env("DJANGO_SETTINGS_MODULE", settings)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("PGHOST", context.socket())
        .env("PGPORT", database.port().to_string())
        .env("PGDATABASE", &database.name)
        .env("PGUSER", superuser.role)
        .env("PGPASSWORD", superuser.password);
    command
}

/// New keys, in tables of Django's own, which both projects read.
pub fn keys(context: &Context, database: &Database, count: usize) -> Vec<String> {
    let mut make = python(context, database, USUAL);
    make.args(["make_keys.py", &count.to_string()]);
    run(&mut make).success().lines().map(str::to_owned).collect()
}
