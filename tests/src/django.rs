//! Keys made by a real Django with a real djangorestframework-api-key, by the projects in
//! `tests/django`.

use crate::database::Database;
use crate::from_test_script;
use crate::program::{program, run};
use std::collections::HashMap;

const PROJECTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/django");

/// A version of djangorestframework-api-key.
#[derive(Clone, Copy)]
pub enum Django {
    /// Stores `sha512$$…`.
    Current,
    /// The last 2.x, which stores what Django's default for passwords makes.
    Two,
}

impl Django {
    /// Makes Django's tables and some keys in this schema. They come back by what is special about
    /// each: `till`, `a year`, `the same` (named till, too), `revoked`, `expired`.
    pub fn keys(
        self,
        database: &Database,
        schema: &str,
        hasher: Option<&str>,
    ) -> HashMap<String, String> {
        self.run("keys.py", database, &[&[schema], hasher.as_slice()].concat())
    }

    /// The same by generators that are not the default: the keys of `venue_key` by what is special
    /// about their shape, and `nameless`, of `venue_nameless`.
    pub fn other_keys(self, database: &Database, schema: &str) -> HashMap<String, String> {
        self.run("generators.py", database, &[schema])
    }

    fn run(
        self,
        project: &str,
        database: &Database,
        arguments: &[&str],
    ) -> HashMap<String, String> {
        let python = from_test_script(match self {
            Self::Current => "APIKEY_PYTHON_DJANGO",
            Self::Two => "APIKEY_PYTHON_DJANGO_2",
        });
        let project = format!("{PROJECTS}/{project}");
        let superuser = database.cluster.superuser();
        let output = run(program(&python, &[&project])
            .args(arguments)
            .env("PGHOST", "127.0.0.1")
            .env("PGPORT", database.port().to_string())
            .env("PGDATABASE", &database.name)
            .env("PGUSER", superuser.role)
            .env("PGPASSWORD", superuser.password));
        let keys = output.success();
        keys.lines()
            .map(|line| line.split_once('\t').unwrap_or_else(|| panic!("not a key: {line}")))
            .map(|(label, key)| (label.to_owned(), key.to_owned()))
            .collect()
    }
}
