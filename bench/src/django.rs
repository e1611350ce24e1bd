//! Django REST framework with djangorestframework-api-key, in `bench/django`, on the same Postgres.

use crate::context::Context;
use apikey_tests::{Database, from_test_script, program, run};
use std::process::Command;

const PROJECT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/django");

/// Its Python, told where the project and the database are.
pub fn python(context: &Context, database: &Database) -> Command {
    let superuser = database.cluster.superuser();
    let mut command = program(&from_test_script("APIKEY_PYTHON_BENCH"), &[]);
    command
        .current_dir(PROJECT)
        .env("DJANGO_SETTINGS_MODULE", "keytest.settings")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("PGHOST", context.socket())
        .env("PGPORT", database.port().to_string())
        .env("PGDATABASE", &database.name)
        .env("PGUSER", superuser.role)
        .env("PGPASSWORD", superuser.password);
    command
}

/// New keys, in tables of Django's own.
pub fn keys(context: &Context, database: &Database, count: usize) -> Vec<String> {
    let mut make = python(context, database);
    make.args(["make_keys.py", &count.to_string()]);
    run(&mut make).success().lines().map(str::to_owned).collect()
}
