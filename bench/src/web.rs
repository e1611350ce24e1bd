//! HTTP servers as child processes: the shim, the constant, and Django behind gunicorn.

use crate::context::Context;
use crate::cpu::process_cpu;
use apikey_tests::{Database, Login, from_test_script, program, run};
use std::fs::{self, File};
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const PATH: &str = "/api/user/keytest/";

pub struct WebServer {
    child: Child,
    address: String,
    files: TempDir,
}

impl WebServer {
    /// The shim as it comes, in front of this database.
    pub fn shim(context: &Context, database: &Database, checker: &Login) -> Self {
        let files = tempfile::tempdir().unwrap();
        let password = files.path().join("password");
        fs::write(&password, &checker.password).unwrap();
        let conninfo = database.conninfo(checker);
        let (_, conninfo) = conninfo.split_once(' ').unwrap();
        let mut command = program(&from_test_script("APIKEY_SHIM"), &["--listen", "127.0.0.1:0"]);
        command
            .env_clear()
            .arg("--database")
            .arg(format!("host={} {conninfo}", context.socket().display()))
            .arg("--database-password-file")
            .arg(&password);
        Self::start(command, files)
    }

    /// hyper with a constant answer.
    pub fn constant() -> Self {
        let ours = std::env::current_exe().unwrap();
        let constant = ours.with_file_name("apikey-bench-constant");
        Self::start(program(constant.to_str().unwrap(), &[]), tempfile::tempdir().unwrap())
    }

    /// gunicorn as its documentation advises: synchronous workers, two for each core and one more.
    pub fn django(context: &Context, mut command: Command) -> Self {
        let files = tempfile::tempdir().unwrap();
        let workers = (2 * context.cores + 1).to_string();
        command
            .args(["-m", "gunicorn", "--bind", "127.0.0.1:0", "--workers", &workers])
            .args(["--no-control-socket", "keytest.web"])
            .env("HOME", files.path());
        Self::start(command, files)
    }

    /// Each says where it listens.
    fn start(mut command: Command, files: TempDir) -> Self {
        let log = files.path().join("log");
        let output = File::create(&log).unwrap();
        command.stdout(output.try_clone().unwrap()).stderr(output);
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let mut server = Self { child, address: String::new(), files };
        let deadline = Instant::now() + Duration::from_secs(20);
        while Instant::now() < deadline {
            let log = fs::read_to_string(&log).unwrap();
            let line =
                log.split_once("http://").and_then(|(_, rest)| rest.split_once(['\n', ' ', '"']));
            if let Some((address, _)) = line {
                server.address = address.to_owned();
                return server;
            }
            sleep(Duration::from_millis(10));
        }
        panic!("{command:?} does not listen: {}", server.log());
    }

    fn log(&self) -> String {
        fs::read_to_string(self.files.path().join("log")).unwrap_or_default()
    }

    pub fn url(&self) -> String {
        format!("http://{}{PATH}", self.address)
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    /// The keytest as clients send it.
    pub fn request(&self, key: &str) -> String {
        format!(
            "GET {PATH} HTTP/1.1\r\nHost: {}\r\nAuthorization: Api-Key {key}\r\n\r\n",
            self.address
        )
    }

    pub fn cpu(&self) -> Duration {
        process_cpu(self.child.id())
    }
}

impl Drop for WebServer {
    /// Asked to end, for gunicorn takes its workers along.
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("The log of {}:\n{}", self.address, self.log());
        }
        let _ = run(&mut program("kill", &[&self.child.id().to_string()]));
        let _ = self.child.wait();
    }
}
