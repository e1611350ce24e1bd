//! A database with the extension in it, for one test.

use crate::from_test_script;
use crate::login::Login;
use crate::program::{Output, program, run};
use crate::servers::cluster::Cluster;
use crate::waiting::eventually;
use postgres::{Client, Config, NoTls};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

pub struct Database {
    pub cluster: Cluster,
    pub name: String,
    superuser: Login,
    roles: Vec<String>,
}

impl Database {
    /// In the shared cluster, with the extension.
    pub fn new() -> Self {
        Self::in_cluster(Cluster::shared())
    }

    pub fn in_cluster(cluster: Cluster) -> Self {
        let database = Self::without_extension(cluster);
        database.superuser().batch_execute("CREATE EXTENSION apikey").unwrap();
        database
    }

    pub fn without_extension(cluster: Cluster) -> Self {
        Self::made_with("", cluster)
    }

    /// Without the extension, by `CREATE DATABASE name OPTIONS`.
    pub fn made_with(options: &str, cluster: Cluster) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let superuser = cluster.superuser();
        let database = Self { cluster, name, superuser, roles: Vec::new() };
        // Hashing is as cheap as the settings allow: its strength is not what most tests are about.
        database.maintenance(&format!(
            "CREATE DATABASE {0} {options}; ALTER DATABASE {0} SET apikey.argon2_memory = '1MB';
             ALTER DATABASE {0} SET apikey.argon2_iterations = 1",
            database.name
        ));
        database
    }

    /// A new connection as the superuser.
    pub fn superuser(&self) -> Client {
        self.connect(&self.superuser)
    }

    /// Returns when so many sessions of it, or more, wait for a lock.
    #[track_caller]
    pub fn wait_for_blocked(&self, sessions: usize) {
        let blocked = format!(
            "SELECT count(*) >= {sessions} FROM pg_stat_activity
                WHERE wait_event_type = 'Lock' AND datname = current_database()"
        );
        let mut client = self.superuser();
        eventually(&format!("{sessions} sessions wait for a lock"), || {
            one(&mut client, &blocked).as_deref() == Some("t")
        });
    }

    /// Returns when the server has crashed, and answers again. Whose backend is killed loses the
    /// connection before the server knows of it; and one that is told to stop while it restarts by
    /// itself does not.
    pub fn wait_for_recovery(&self) {
        let restarts = "all server processes terminated; reinitializing";
        eventually("the crashed server restarts", || self.cluster.log().contains(restarts));
        eventually("it answers again", || {
            self.client_program("psql", &["-XAtc", "SELECT 1"]).code == Some(0)
        });
    }

    pub fn connect(&self, login: &Login) -> Client {
        connect(self.port(), login, &self.name)
    }

    /// A new connection as the superuser, to this database on a standby.
    pub fn on_standby(&self, standby: &Cluster) -> Client {
        connect(standby.port(), &self.superuser, &self.name)
    }

    pub fn port(&self) -> u16 {
        self.cluster.port()
    }

    /// What the shim is told, but for the password.
    pub fn conninfo(&self, login: &Login) -> String {
        format!("host=127.0.0.1 port={} user={} dbname={}", self.port(), login.role, self.name)
    }

    /// A new role with no rights but those that `attributes` name (`IN ROLE …`, `CREATEDB`). Roles
    /// are the cluster's: in the shared one its name begins with the database's.
    pub fn login(&mut self, name: &str, attributes: &str) -> Login {
        let role = match self.cluster.is_private() {
            true => name.to_owned(),
            false => format!("{}_{name}", self.name),
        };
        let login = Login { role, password: "correct horse".to_owned() };
        self.maintenance(&format!(
            "CREATE ROLE {} LOGIN PASSWORD '{}' {attributes}",
            login.role, login.password
        ));
        self.roles.push(login.role.clone());
        login
    }

    /// Drops a role before the database ends.
    pub fn forget(&mut self, login: &Login) {
        let role = &login.role;
        self.superuser().batch_execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).unwrap();
        self.roles.retain(|known| known != role);
    }

    /// A new role that may check keys.
    pub fn checker(&mut self) -> Login {
        let checker = self.login("checker", "");
        self.superuser()
            .batch_execute(&format!(
                "GRANT USAGE ON SCHEMA apikey TO {0};
                 GRANT EXECUTE ON FUNCTION apikey_check(text, inet), apikey_check(text, inet, text), apikey.check_key, apikey.check_key_at_once TO {0}",
                checker.role
            ))
            .unwrap();
        checker
    }

    /// A new role that may also authorize them.
    pub fn authorizer(&mut self) -> Login {
        let checker = self.checker();
        let grant = format!(
            "GRANT EXECUTE ON FUNCTION apikey_authorize(text, inet, text, text), apikey.authorize_key, apikey.authorize_key_at_once TO {}",
            checker.role
        );
        self.superuser().batch_execute(&grant).unwrap();
        checker
    }

    /// A new key of its own name, by `apikey_create(name, ARGUMENTS)`.
    pub fn key(&self, arguments: &str) -> String {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = COUNT.fetch_add(1, Ordering::Relaxed);
        one(&mut self.superuser(), &format!("SELECT apikey_create('key {name}', {arguments})"))
            .unwrap()
    }

    /// Runs a program of the server's own, such as psql, as the superuser on this database.
    pub fn client_program(&self, name: &str, arguments: &[&str]) -> Output {
        let psql = run(&mut program(&from_test_script("PG_CONFIG"), &["--bindir"])).success();
        let path = Path::new(&psql).join(name);
        run(program(path.to_str().unwrap(), arguments)
            .env("PGHOST", "127.0.0.1")
            .env("PGPORT", self.port().to_string())
            .env("PGDATABASE", &self.name)
            .env("PGUSER", &self.superuser.role)
            .env("PGPASSWORD", &self.superuser.password))
    }

    /// Runs a script in psql with these variables, what it shows as columns with bars between them.
    pub fn run_script(&self, script: &str, variables: &[&str]) -> Output {
        let variables = variables.iter().flat_map(|variable| ["-v", variable]);
        let arguments = ["-X", "-A", "-f", script].into_iter().chain(variables);
        self.client_program("psql", &arguments.collect::<Vec<_>>())
    }

    fn maintenance(&self, sql: &str) {
        // One statement at a time: CREATE DATABASE takes no company.
        let mut client = connect(self.port(), &self.superuser, "postgres");
        for statement in sql.split(';') {
            client.batch_execute(statement).unwrap();
        }
    }
}

impl Default for Database {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if std::thread::panicking() || self.cluster.is_private() {
            return; // Left to be looked at, and gone with the cluster.
        }
        self.maintenance(&format!("DROP DATABASE {} WITH (FORCE)", self.name));
        for role in &self.roles {
            self.maintenance(&format!("DROP ROLE {role}"));
        }
    }
}

fn connect(port: u16, login: &Login, database: &str) -> Client {
    Config::new()
        .host("127.0.0.1")
        .port(port)
        .user(&login.role)
        .password(&login.password)
        .dbname(database)
        .connect(NoTls)
        .unwrap()
}

/// The one value that a statement gives, as text.
pub fn one(client: &mut Client, sql: &str) -> Option<String> {
    let rows = client.simple_query(sql).unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    let mut rows = rows.into_iter().filter_map(|message| match message {
        postgres::SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    let row = rows.next().unwrap_or_else(|| panic!("{sql}: no row"));
    assert!(rows.next().is_none() && row.len() == 1, "{sql}: not one value");
    row.get(0).map(str::to_owned)
}
