//! The shop of `examples/`, and the way to run them.

use crate::database::Database;
use crate::from_test_script;
use crate::login::Login;
use crate::program::{Output, program, run};
use crate::servers::cluster::Cluster;
use std::path::Path;
use std::process::Command;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// After `deploy/roles.sql` and `examples/policy.sql`, with the key of an owner who may sell and of
/// one who may not. It has a cluster of its own, since roles have the same names in all databases.
pub struct ExampleShop {
    pub database: Database,
    /// The application's role, which is no more than a checker.
    pub till: Login,
    pub ada: String,
    pub bob: String,
}

impl ExampleShop {
    pub fn new() -> Self {
        let database = Database::without_extension(Cluster::private(&[]));
        let install = "CREATE SCHEMA keys; CREATE EXTENSION apikey SCHEMA keys";
        database.superuser().batch_execute(install).unwrap();
        // For what the tests ask by bare names. The examples need no path.
        let path = format!(
            "ALTER ROLE postgres IN DATABASE {} SET search_path = public, keys",
            database.name
        );
        database.superuser().batch_execute(&path).unwrap();
        let till = Login { role: "till".to_owned(), password: "correct horse".to_owned() };
        let ada = database.key("'[\"sale.read\",\"sale.write\"]'::jsonb, owner => 'ada'");
        let bob = database.key("'sale.read', owner => 'bob'");
        let shop = Self { database, till, ada, bob };
        shop.psql("deploy/roles.sql");
        shop.database
            .superuser()
            .batch_execute(&format!(
                "CREATE ROLE till LOGIN PASSWORD '{}' IN ROLE apikey_checker",
                shop.till.password
            ))
            .unwrap();
        shop.psql("examples/policy.sql");
        shop
    }

    /// Runs a file of the checkout in psql, as the superuser.
    pub fn psql(&self, file: &str) {
        let path = format!("{ROOT}/{file}");
        let output = self.database.client_program("psql", &["-Xq", "-f", &path]);
        assert_eq!(output.stderr, "", "{file}");
        output.success();
    }

    /// Has the server log whatever the application says, but for parameters, as
    /// docs/applications.md advises.
    pub fn log_statements(&self) {
        let settings = "ALTER ROLE till SET log_statement = 'all';
            ALTER ROLE till SET log_parameter_max_length = 0;
            ALTER ROLE till SET log_parameter_max_length_on_error = 0";
        self.database.superuser().batch_execute(settings).unwrap();
    }

    /// That the statements are in the server's log, and no key is.
    pub fn assert_no_key_logged(&self) {
        let log = self.database.cluster.log();
        assert!(log.contains("apikey_authorize("), "no statement was logged");
        for key in [&self.ada, &self.bob] {
            assert!(!log.contains(&key[9..]), "the log has a key");
        }
    }

    /// Runs an example as its first comment says, as the application's role, with this key.
    pub fn run_as_it_says(&self, example: &str, key: &str) -> Output {
        let text = std::fs::read_to_string(format!("{ROOT}/{example}")).unwrap();
        let said = text.lines().find_map(|line| line.split_once("API_KEY=... "));
        let (_, said) = said.unwrap_or_else(|| panic!("{example} does not say how to run it"));
        self.run(program("sh", &["-c", &said.replace("DATABASE", &self.database.name)]), key)
    }

    /// Runs a program as the application's role, with this key.
    pub fn run(&self, mut command: Command, key: &str) -> Output {
        let bin = run(&mut program(&from_test_script("PG_CONFIG"), &["--bindir"])).success();
        // Debian's own Python comes first: it has Debian's psycopg.
        let path = format!("{bin}:/usr/bin:{}", std::env::var("PATH").unwrap());
        let password = &self.till.password;
        run(command
            .current_dir(Path::new(ROOT))
            .env("PATH", path)
            .env("PGHOST", "127.0.0.1")
            .env("PGPORT", self.database.port().to_string())
            .env("PGDATABASE", &self.database.name)
            .env("PGUSER", &self.till.role)
            .env("PGPASSWORD", password)
            .env(
                "DATABASE_URL",
                format!("{} password='{password}'", self.database.conninfo(&self.till)),
            )
            // Where Debian's node-pg is, for a Node that is not Debian's.
            .env("NODE_PATH", "/usr/share/nodejs")
            .env("API_KEY", key))
    }
}

impl Default for ExampleShop {
    fn default() -> Self {
        Self::new()
    }
}
