//! A new process takes over from an old one while clients ask on, and none of their requests is
//! lost.

use crate::running::asking::Asking;
use apikey_tests::{
    Answer, Certificate, Database, Shim, free_address, from_test_script, program, run,
};
use std::io::{BufRead, BufReader, Lines, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const RESTARTS: u32 = 100;

/// By HTTP/2, where a run of one client is many requests.
const HTTP2_RESTARTS: u32 = 20;
const REQUESTS: usize = 5_000;

/// A shim on a socket that systemd keeps while one process ends and the next one starts.
struct Supervised {
    child: Child,
    orders: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    address: String,
}

impl Supervised {
    fn start(database: &mut Database, flags: &[&str]) -> Self {
        let checker = database.checker();
        let free = free_address().to_string();
        // sd_listen_fds(3): file descriptor 3, for the process that LISTEN_PID names.
        let supervisor = r#"
            echo supervising
            while :; do
                (export LISTEN_PID=$BASHPID; exec "$@") & pid=$!
                read -r order || { kill -TERM $pid; wait $pid; exit; }
                kill -TERM $pid
                wait $pid || exit
                echo $?
            done"#;
        let mut child = program("systemd-socket-activate", &["-l", &free])
            .args(["bash", "-c", supervisor, "supervisor", &from_test_script("APIKEY_SHIM")])
            .args(["--listen", "systemd", "--database"])
            .arg(format!("{} password='{}'", database.conninfo(&checker), checker.password))
            .args(flags)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let orders = child.stdin.take().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, orders, lines, address: free }
    }

    /// After the first connection, which has systemd start the supervisor.
    fn restart_while(&mut self, is_wanted: impl Fn(u32) -> bool) {
        assert_eq!(self.line(), "supervising");
        for _ in (0..).take_while(|&times| is_wanted(times)) {
            let line = self.line();
            assert!(line.starts_with("listening on http"), "{line}");
            self.orders.write_all(b"next\n").unwrap();
            assert_eq!(self.line(), "0", "the exit status");
        }
    }

    fn line(&mut self) -> String {
        self.lines.next().unwrap().unwrap()
    }

    fn end(mut self) {
        drop(self.orders);
        self.child.wait().unwrap();
    }
}

/// The old one ends before the new one starts, as `systemctl restart` has it: clients wait in the
/// socket, which is systemd's.
#[test]
fn a_hundred_times_on_a_socket_of_systemds() {
    let mut database = Database::new();
    let key = database.key("'event'");
    let mut shim = Supervised::start(&mut database, &[]);
    let asking = Asking::start(&format!("http://{}/api/user/keytest/", shim.address), &key, 8);
    shim.restart_while(|times| times < RESTARTS);
    assert!(asking.assert_nothing_was_lost() > u64::from(RESTARTS));
    shim.end();
}

/// Many requests are in flight on each connection, and the end of one says which of them are still
/// answered (GOAWAY).
#[test]
fn with_http2_on_a_socket_of_systemds() {
    let mut database = Database::new();
    let key = database.key("'event'");
    let certificate = Certificate::new();
    let flags = certificate.flags();
    let flags: Vec<_> = flags.iter().map(String::as_str).collect();
    let mut shim = Supervised::start(&mut database, &flags);
    let address = shim.address.clone();
    // How often it connected, for the requests that it is told to make.
    let ask = || {
        let mut curl = program("curl", &["--silent", "--show-error", "--http2", "--parallel"]);
        curl.args(["--header", &format!("Authorization: Api-Key {key}"), "--output", "/dev/null"]);
        curl.args(["--write-out", "%{http_code} HTTP/%{http_version} %{num_connects}\n"]);
        curl.arg("--cacert").arg(certificate.certificate());
        let url = format!("https://{address}/api/user/keytest/?[1-{REQUESTS}]");
        let output = run(curl.arg(url)).success();
        let connects = output.lines().filter_map(|line| line.strip_prefix("200 HTTP/2 "));
        let connects: Vec<usize> = connects.map(|count| count.parse().unwrap()).collect();
        assert_eq!(connects.len(), REQUESTS, "answers of 200");
        connects.iter().sum::<usize>()
    };
    let at_rest = ask();
    let (restarted, is_met) = (AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let mut connects = vec![];
            while !restarted.load(Ordering::Relaxed) {
                connects.push(ask());
                is_met.fetch_or(connects.last() > Some(&at_rest), Ordering::Relaxed);
            }
            connects
        });
        // Until a run has met one, which on a slow machine may take longer.
        let is_wanted =
            |times| times < HTTP2_RESTARTS || times < RESTARTS && !is_met.load(Ordering::Relaxed);
        shim.restart_while(is_wanted);
        restarted.store(true, Ordering::Relaxed);
        let connects = asking.join().unwrap();
        assert!(connects.iter().any(|&count| count > at_rest), "of each run: {connects:?}");
    });
    shim.end();
}

/// A connection that was idle may be asked on once more, and learns that this was the last time.
#[test]
fn a_connection_that_is_kept_gets_one_more_answer() {
    let mut database = Database::new();
    let mut shim = Shim::start(&mut database, &[]);
    let request = b"GET /live HTTP/1.1\r\nHost: test\r\n\r\n";
    let mut kept = shim.connect();
    kept.write_all(request).unwrap();
    let mut head = [0; 4096];
    let length = kept.read(&mut head).unwrap();
    let head = String::from_utf8_lossy(&head[..length]).to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 200") && !head.contains("connection: close"), "{head}");
    let fresh = shim.connect();
    let silent = shim.connect();
    shim.signal("TERM");
    apikey_tests::eventually("it is stopping", || shim.log().contains("stopping"));
    for mut stream in [kept, fresh] {
        stream.write_all(request).unwrap();
        let answer = Answer::read(stream);
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.header("connection"), Some("close"));
    }
    assert_eq!(shim.wait().code(), Some(0));
    drop(silent);
    assert!(TcpStream::connect_timeout(&shim.address, Duration::from_secs(5)).is_err());
}
