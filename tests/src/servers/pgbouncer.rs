//! A real pgbouncer, in transaction mode, with one connection to the server for all its clients,
//! unless it is told otherwise.

use crate::database::Database;
use crate::login::Login;
use crate::program::{program, run};
use crate::servers::proxy::free_address;
use postgres::{Client, Config, NoTls};
use std::fs::File;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::process::Child;
use std::thread::sleep;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/unprivileged");

pub struct Pgbouncer {
    child: Child,
    port: u16,
    database: String,
    files: TempDir,
}

impl Pgbouncer {
    /// In front of `database`, whose server sees all clients as `login`.
    pub fn start(database: &Database, login: &Login) -> Self {
        Self::start_with(database, login, &["default_pool_size = 1"])
    }

    pub fn start_with(database: &Database, login: &Login, settings_lines: &[&str]) -> Self {
        // Read by the unprivileged user that it runs as.
        let files = tempfile::Builder::new()
            .prefix("apikey-pgbouncer.")
            .permissions(PermissionsExt::from_mode(0o755))
            .tempdir_in("/tmp")
            .unwrap();
        let port = free_address().port();
        let settings = files.path().join("pgbouncer.ini");
        std::fs::write(
            &settings,
            format!(
                "[databases]
                 {name} = host=127.0.0.1 port={server_port} user={role} password='{password}'
                 [pgbouncer]
                 listen_addr = 127.0.0.1
                 listen_port = {port}
                 unix_socket_dir =
                 auth_type = any
                 pool_mode = transaction
                 {settings_lines}\n",
                settings_lines = settings_lines.join("\n"),
                name = database.name,
                server_port = database.port(),
                role = login.role,
                password = login.password,
            )
            .replace("\n                 ", "\n"),
        )
        .unwrap();
        let child = program(SCRIPT, &["pgbouncer", settings.to_str().unwrap()])
            .stderr(File::create(files.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        let pooler = Self { child, port, database: database.name.clone(), files };
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "pgbouncer did not start: {}", pooler.log());
            sleep(Duration::from_millis(50));
        }
        pooler
    }

    /// Whether the installed one is of this version or a newer one.
    pub fn has_version(major: u32, minor: u32) -> bool {
        let version = run(&mut program(SCRIPT, &["pgbouncer", "--version"])).success();
        let number = version.split_whitespace().nth(1).unwrap_or_default();
        let mut parts = number.split('.').map_while(|part| part.parse::<u32>().ok());
        (parts.next(), parts.next()) >= (Some(major), Some(minor))
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn connect(&self) -> Client {
        self.config().connect(NoTls).unwrap_or_else(|error| panic!("{error}: {}", self.log()))
    }

    /// As a client that is asked for its password.
    pub fn connect_as(&self, login: &Login) -> Client {
        let mut config = self.config();
        config.user(&login.role).password(&login.password).connect(NoTls).unwrap()
    }

    fn config(&self) -> Config {
        let mut config = Config::new();
        config.host("127.0.0.1").port(self.port).user("anybody").dbname(&self.database);
        config
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.files.path().join("log")).unwrap()
    }
}

impl Drop for Pgbouncer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
