//! A new process takes over from an old one while clients ask on, and none of their requests is lost.

use crate::asking::Asking;
use apikey_tests::{Answer, Certificate, Database, Shim, from_test_script, program, run};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const RESTARTS: u32 = 100;

/// By HTTP/2, where a run of one client is many requests.
const HTTP2_RESTARTS: u32 = 20;
const REQUESTS: usize = 5_000;

/// The new one listens beside the old one before that is told to stop.
#[test]
fn a_hundred_times_on_a_shared_port() {
    let mut database = Database::new();
    let key = database.key("'event'");
    let checker = database.checker();
    let conninfo = database.conninfo(&checker);
    let mut shim = Shim::start_as(&checker, &conninfo, &["--reuse-port"]);
    let address = shim.address.to_string();
    let asking = Asking::start(&shim.keytest(), &key, 8);
    for _ in 0..RESTARTS {
        let new = Shim::start_as(&checker, &conninfo, &["--listen", &address, "--reuse-port"]);
        shim.signal("TERM");
        assert_eq!(shim.wait().code(), Some(0));
        shim = new;
    }
    assert!(asking.assert_nothing_was_lost() > u64::from(RESTARTS));
}

/// Many requests are in flight on each connection, and the end of one says which of them are still answered (GOAWAY).
#[test]
fn with_http2_on_a_shared_port() {
    let mut database = Database::new();
    let key = database.key("'event'");
    let (checker, certificate) = (database.checker(), Certificate::new());
    let (conninfo, tls) = (database.conninfo(&checker), certificate.flags());
    let flags: Vec<_> = tls.iter().map(String::as_str).chain(["--reuse-port"]).collect();
    let mut shim = Shim::start_as(&checker, &conninfo, &flags);
    let address = shim.address.to_string();
    let flags = [&flags[..], &["--listen", &address]].concat();

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
    let restarted = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let mut connects = vec![];
            while !restarted.load(Ordering::Relaxed) {
                connects.push(ask());
            }
            connects
        });
        for _ in 0..HTTP2_RESTARTS {
            let new = Shim::start_as(&checker, &conninfo, &flags);
            shim.signal("TERM");
            assert_eq!(shim.wait().code(), Some(0));
            shim = new;
        }
        restarted.store(true, Ordering::Relaxed);
        let connects = asking.join().unwrap();
        assert!(connects.iter().any(|&count| count > at_rest), "of each run: {connects:?}");
    });
}

/// The old one ends before the new one starts, as `systemctl restart` has it: clients wait in the socket, which is
/// systemd's.
#[test]
fn a_hundred_times_on_a_socket_of_systemds() {
    let mut database = Database::new();
    let key = database.key("'event'");
    let checker = database.checker();
    // Says which port is free.
    let free = Shim::start_as(&checker, "host=127.0.0.1 user=u", &[]).address.to_string();
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
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut orders = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let asking = Asking::start(&format!("http://{free}/api/user/keytest/"), &key, 8);
    assert_eq!(lines.next().unwrap().unwrap(), "supervising");
    for _ in 0..RESTARTS {
        assert!(lines.next().unwrap().unwrap().starts_with("listening on http://"));
        orders.write_all(b"next\n").unwrap();
        assert_eq!(lines.next().unwrap().unwrap(), "0", "the exit status");
    }
    assert!(asking.assert_nothing_was_lost() > u64::from(RESTARTS));
    drop(orders);
    child.wait().unwrap();
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
