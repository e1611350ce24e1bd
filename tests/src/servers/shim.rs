//! The shim's own binary, as a child process.

use crate::database::Database;
use crate::from_test_script;
use crate::login::Login;
use crate::program::{Output, program, run};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub struct Shim {
    pub address: SocketAddr,
    /// Where the admin page is, with `--admin-listen`.
    admin: Option<SocketAddr>,
    child: Child,
    files: TempDir,
}

impl Shim {
    /// On a free port, in front of `database`, as a role that may check and nothing else.
    pub fn start(database: &mut Database, flags: &[&str]) -> Self {
        let checker = database.checker();
        Self::start_as(&checker, &database.conninfo(&checker), flags)
    }

    /// The same, as a role that may authorize, too.
    pub fn start_for_auth(database: &mut Database, flags: &[&str]) -> Self {
        let authorizer = database.authorizer();
        Self::start_as(&authorizer, &database.conninfo(&authorizer), flags)
    }

    pub fn start_as(login: &Login, conninfo: &str, flags: &[&str]) -> Self {
        let files = tempfile::tempdir().unwrap();
        let command = command(login, conninfo, files.path());
        Self::run(command, flags, files)
    }

    /// By a program that runs it, such as `env NAME=VALUE`.
    pub fn start_by(wrapper: &[&str], database: &mut Database, flags: &[&str]) -> Self {
        let files = tempfile::tempdir().unwrap();
        let checker = database.checker();
        let command = command(&checker, &database.conninfo(&checker), files.path());
        let mut wrapped = program(wrapper[0], &wrapper[1..]);
        without_settings(&mut wrapped);
        wrapped.envs([("APIKEY_LISTEN", "127.0.0.1:0"), ("APIKEY_LOG", "trace")]);
        wrapped.arg(command.get_program()).args(command.get_args());
        Self::run(wrapped, flags, files)
    }

    fn run(mut command: Command, flags: &[&str], files: TempDir) -> Self {
        let mut child = command
            .args(flags)
            .stdout(Stdio::piped())
            .stderr(File::create(files.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let mut told = |words: &str| {
            let mut line = String::new();
            said.read_line(&mut line).unwrap();
            let url = line.trim().strip_prefix(words).and_then(|url| url.split_once("://"));
            url.and_then(|(_, address)| address.parse().ok()).unwrap_or_else(|| {
                let log = std::fs::read_to_string(files.path().join("log")).unwrap();
                panic!("the shim did not start: {line}{log}");
            })
        };
        let address = told("listening on ");
        let admin = flags.contains(&"--admin-listen").then(|| told("admin on "));
        Self { address, admin, child, files }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn admin_url(&self, path: &str) -> String {
        format!("http://{}", self.admin_place(path))
    }

    /// What comes after the scheme in its URL.
    pub fn admin_place(&self, path: &str) -> String {
        format!("{}{path}", self.admin.unwrap())
    }

    pub fn keytest(&self) -> String {
        self.url("/api/user/keytest/")
    }

    /// What it has logged so far, at the most talkative level. A thread of its own writes it: what
    /// is there, is there when nothing has been added for a moment.
    pub fn log(&self) -> String {
        let read = || std::fs::read_to_string(self.files.path().join("log")).unwrap();
        let mut log = read();
        for _ in 0..50 {
            sleep(Duration::from_millis(50));
            let later = read();
            if later.len() == log.len() {
                break;
            }
            log = later;
        }
        log
    }

    /// Where `--metrics-listen` with port 0 has led to.
    pub fn metrics_address(&self) -> SocketAddr {
        let log = self.log();
        let before = log.split_once("/metrics").unwrap_or_else(|| panic!("no metrics: {log}")).0;
        before.rsplit_once("http://").unwrap().1.parse().unwrap()
    }

    /// The same request at the address of the metrics.
    pub fn ask_for_metrics(&self, method: &str, path: &str) -> Answer {
        let mut stream = connect(self.metrics_address());
        write!(stream, "{method} {path} HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
        Answer::read(stream)
    }

    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Its resident memory, in kB.
    pub fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// How many files and sockets it has open.
    pub fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().count()
    }

    pub fn signal(&self, name: &str) {
        run(&mut program("kill", &["-s", name, &self.child.id().to_string()])).success();
    }

    /// Its exit status; panics if it runs on.
    pub fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + Duration::from_secs(20);
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            sleep(Duration::from_millis(20));
        }
        panic!("the shim did not exit: {}", self.log());
    }

    pub fn connect(&self) -> TcpStream {
        connect(self.address)
    }

    /// What it answers to these bytes until it closes the connection; a client that says all that
    /// it has to say at once.
    pub fn send(&self, bytes: &[u8]) -> Answer {
        let mut stream = self.connect();
        stream.write_all(bytes).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        Answer::read(stream)
    }

    /// A GET with this key, whose answer is read later.
    pub fn ask_later(&self, path: &str, key: &str) -> TcpStream {
        let mut stream = self.connect();
        let lines = format!("Connection: close\r\nAuthorization: Api-Key {key}");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: test\r\n{lines}\r\n\r\n").unwrap();
        stream
    }

    /// A GET with these header lines.
    pub fn get(&self, path: &str, header_lines: &[&str]) -> Answer {
        self.request("GET", path, header_lines)
    }

    pub fn request(&self, method: &str, path: &str, header_lines: &[&str]) -> Answer {
        let lines: String = header_lines.iter().map(|line| format!("{line}\r\n")).collect();
        let head = format!("{method} {path} HTTP/1.1\r\nHost: test\r\n{lines}\r\n");
        self.send(head.as_bytes())
    }

    /// The keytest with `Authorization: Api-Key KEY`.
    pub fn ask(&self, key: &str) -> Answer {
        self.get("/api/user/keytest/", &[&format!("Authorization: Api-Key {key}")])
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream
}

impl Drop for Shim {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the shim's log:\n{}", self.log());
        }
    }
}

/// The shim's own command line, which listens on a free port unless a flag says otherwise.
fn command(login: &Login, conninfo: &str, files: &Path) -> Command {
    let password = files.join("password");
    std::fs::write(&password, format!("{}\n", login.password)).unwrap();
    let mut command = program(&from_test_script("APIKEY_SHIM"), &[]);
    without_settings(&mut command);
    command
        .envs([("APIKEY_LISTEN", "127.0.0.1:0"), ("APIKEY_LOG", "trace")]) // which a flag overrides
        .args(["--database", conninfo])
        .args(["--database-password-file", password.to_str().unwrap()]);
    command
}

/// Leaves out what the environment would tell the shim.
fn without_settings(command: &mut Command) {
    for (variable, _) in std::env::vars().filter(|(name, _)| name.starts_with("APIKEY_")) {
        command.env_remove(variable);
    }
}

/// Runs the shim with flags and environment that should end it at once: ten seconds is far too
/// long.
pub fn short_run(flags: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command =
        program("timeout", &["--signal=KILL", "10", &from_test_script("APIKEY_SHIM")]);
    without_settings(&mut command);
    run(command.args(flags).envs(environment.iter().copied()))
}

/// An answer, byte by byte, but for the lines with the date and the request's id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub head: String,
    pub body: String,
    pub request_id: RequestId,
}

/// Of two answers that are the same, each has its own.
#[derive(Clone, Debug)]
pub struct RequestId(pub Option<String>);

impl PartialEq for RequestId {
    fn eq(&self, other: &Self) -> bool {
        self.0.is_some() == other.0.is_some()
    }
}

impl Eq for RequestId {}

impl Answer {
    pub fn read(mut stream: impl Read) -> Self {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) =
            text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
        let mut request_id = None;
        let same = |line: &&str| match line.split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("x-request-id") => {
                assert_eq!(request_id.replace(value.to_owned()), None, "two ids: {head}");
                false
            }
            Some((name, _)) => !name.eq_ignore_ascii_case("date"),
            None => true,
        };
        let lines: Vec<_> = head.lines().filter(same).collect();
        Self { head: lines.join("\n"), body: body.to_owned(), request_id: RequestId(request_id) }
    }

    pub fn status(&self) -> u16 {
        let status = self.head.split(' ').nth(1).and_then(|status| status.parse().ok());
        status.unwrap_or_else(|| panic!("no status: {}", self.head))
    }

    /// The value of the one header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.head.lines().filter_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        });
        let value = values.next();
        assert_eq!(values.next(), None, "{name} twice: {}", self.head);
        value
    }

    /// That this is an error in the form that all errors have.
    #[track_caller]
    pub fn assert_problem(&self, status: u16) {
        assert_eq!(self.status(), status, "{}\n\n{}", self.head, self.body);
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{}", self.head);
        assert_eq!(self.header("cache-control"), Some("no-store"), "{}", self.head);
        assert!(self.body.contains(&format!("\"status\":{status}")), "{}", self.body);
        assert!(self.body.contains("\"detail\":\""), "{}", self.body);
    }
}
