//! `/metrics`, as Prometheus reads it.

use apikey_tests::{
    Answer, Cluster, Database, PUBLISHED_KEY, Samples, Shim, eventually, from_test_script,
    short_run, stat, wrong_secret,
};
use std::collections::BTreeSet;
use std::io::Write;
use std::net::TcpStream;
use std::process::{Command, Stdio};

const ON: [&str; 2] = ["--metrics-listen", "127.0.0.1:0"];

fn requests(route: &str, method: &str, status: u16) -> String {
    format!("apikey_http_requests_total{{method={method},route={route},status={status}}}")
}

#[test]
fn requests_are_counted_and_timed() {
    let mut database = Database::new();
    let key = database.key("'event'");
    let shim = Shim::start(&mut database, &[&ON[..], &["--pool-size", "7"]].concat());
    for _ in 0..3 {
        assert_eq!(shim.ask(&key).status(), 200);
    }
    assert_eq!(shim.ask(&wrong_secret(&key)).status(), 401);
    assert_eq!(shim.get("/api/user/keytest", &[]).status(), 401);
    assert_eq!(shim.request("HEAD", "/live", &[]).status(), 200);
    assert_eq!(shim.request("POST", "/ready", &[]).status(), 405);
    assert_eq!(shim.get("/nowhere", &[]).status(), 404);
    assert_eq!(shim.send(b"nonsense\r\n\r\n").status(), 400);

    let samples = Samples::of(&shim);
    for (name, value) in [
        (requests("keytest", "GET", 200), 3.0),
        (requests("keytest", "GET", 401), 2.0),
        (requests("live", "HEAD", 200), 1.0),
        (requests("ready", "other", 405), 1.0),
        (requests("other", "GET", 404), 1.0),
        (requests("none", "none", 400), 1.0),
        ("apikey_http_request_duration_seconds_count{route=keytest}".to_owned(), 5.0),
        ("apikey_http_request_duration_seconds_bucket{le=+Inf,route=keytest}".to_owned(), 5.0),
        ("apikey_refusals_total{reason=no_key}".to_owned(), 1.0),
        ("apikey_refusals_total{reason=invalid_key}".to_owned(), 1.0),
        ("apikey_refusals_total{reason=unknown_host}".to_owned(), 0.0),
        ("apikey_http_requests_in_flight{}".to_owned(), 0.0),
        ("apikey_http_connections_max{}".to_owned(), 1024.0),
        ("apikey_pool_connections_max{}".to_owned(), 7.0),
        ("apikey_pool_connections{state=in_use}".to_owned(), 0.0),
        ("apikey_pool_waiting_requests{}".to_owned(), 0.0),
        ("apikey_slow_hash_places{state=in_use}".to_owned(), 0.0),
        ("apikey_slow_hash_places{state=waiting}".to_owned(), 0.0),
        ("apikey_database_errors_total{kind=connect}".to_owned(), 0.0),
        ("apikey_database_errors_total{kind=hash}".to_owned(), 0.0),
        ("apikey_log_lines_lost_total{}".to_owned(), 0.0),
        (format!("apikey_build_info{{version={}}}", env!("CARGO_PKG_VERSION")), 1.0),
    ] {
        assert_eq!(samples.value(&name), value, "{name}");
    }
    let seconds = samples.value("apikey_http_request_duration_seconds_sum{route=keytest}");
    assert!(seconds > 0.0 && seconds < 30.0, "{seconds}");
    assert!(samples.value("apikey_pool_connections{state=idle}") >= 1.0);

    let idle = shim.connect();
    eventually("an open connection is counted", || {
        Samples::of(&shim).value("apikey_http_connections{}") == 1.0
    });
    drop(idle);
    eventually("and a closed one is not", || {
        Samples::of(&shim).value("apikey_http_connections{}") == 0.0
    });
}

#[test]
fn nothing_that_a_client_sends_makes_a_series() {
    let mut database = Database::new();
    let key = database.key("'event'");
    let tenants = ["--tenant-by-host", "*.example.org=*"];
    let shim = Shim::start(&mut database, &[&ON[..], &tenants].concat());
    let names = || Samples::of(&shim).0.into_keys().collect::<BTreeSet<_>>();
    let ask = |number: usize| {
        shim.get(&format!("/{number}"), &[]);
        shim.get(&format!("/api/user/keytest/?{number}"), &[]);
        shim.get("/api/user/keytest/", &[&format!("X-Api-Key: {key}{number}")]);
        shim.request(&format!("METHOD{number}"), "/live", &[]);
        shim.request(&key, &format!("/{key}"), &[]);
        let host = format!("h{number}.example.org");
        shim.send(format!("GET http://{host}/live HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes());
        shim.send(format!("GET /live HTTP/1.1\r\nHost: {host}@{host}\r\n\r\n").as_bytes());
        shim.send(format!("GET /live HTTP/{number}.1\r\n\r\n").as_bytes());
        let lines = [format!("X-Request-Id: {number}"), format!("Origin: https://{number}.test")];
        shim.get("/live", &[&lines[0], &lines[1]]);
    };
    ask(2);
    let before = names();
    assert!(before.iter().any(|name| name.contains("other")));
    (3..40).for_each(ask);
    assert_eq!(names(), before);
    assert!(!before.iter().any(|name| name.contains(&key[..8])), "{before:#?}");
}

#[test]
fn they_are_read_at_their_own_address_and_nowhere_else() {
    let mut database = Database::new();
    let shim = Shim::start(&mut database, &ON);
    let answer = shim.ask_for_metrics("GET", "/metrics");
    let media_type = "text/plain; version=0.0.4; charset=utf-8";
    assert_eq!(answer.header("content-type"), Some(media_type));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(shim.ask_for_metrics("HEAD", "/metrics").status(), 200);
    shim.ask_for_metrics("POST", "/metrics").assert_problem(405);
    shim.ask_for_metrics("GET", "/").assert_problem(404);
    shim.ask_for_metrics("GET", "/api/user/keytest/").assert_problem(404);
    shim.get("/metrics", &[]).assert_problem(404);

    let without = Shim::start(&mut Database::new(), &[]);
    without.get("/metrics", &[]).assert_problem(404);
    assert!(!without.log().contains("/metrics"), "{}", without.log());
}

/// Many times as many as there are places, each of which would be its own for ten seconds.
#[test]
fn who_is_silent_keeps_nobody_from_reading() {
    let shim = Shim::start(&mut Database::new(), &ON);
    let address = shim.metrics_address();
    let silent: Vec<_> = (0..80).map(|_| TcpStream::connect(address).unwrap()).collect();
    eventually("there is a place", || shim.ask_for_metrics("GET", "/metrics").status() == 200);
    assert_eq!(shim.ask_for_metrics("GET", "/metrics").status(), 200);
    drop(silent);
}

#[test]
fn promtool_has_nothing_to_complain_of() {
    let mut database = Database::new();
    let checker = database.checker();
    let may_read = format!(
        "GRANT SELECT ON apikey_stats TO {0}; GRANT EXECUTE ON FUNCTION apikey.stats() TO {0}",
        checker.role
    );
    database.superuser().batch_execute(&may_read).unwrap();
    let shim = Shim::start_as(&checker, &database.conninfo(&checker), &ON);
    assert_eq!(shim.ask(PUBLISHED_KEY).status(), 401);
    let text = shim.ask_for_metrics("GET", "/metrics").body;
    assert!(text.contains("apikey_postgres_checks_total"), "{text}");
    let mut promtool = Command::new(format!("{}/promtool", from_test_script("APIKEY_PROMETHEUS")))
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success() && said.is_empty(), "{}", String::from_utf8_lossy(&said));
}

/// Metrics are most wanted when something is wrong.
#[test]
fn an_outage_is_counted_by_its_cause() {
    let mut database = Database::in_cluster(Cluster::private(&[]));
    let key = database.key("'event'");
    let shim = Shim::start(&mut database, &ON);
    assert_eq!(shim.ask(&key).status(), 200);
    database.cluster.stop();
    for _ in 0..3 {
        assert_eq!(shim.ask(&key).status(), 503);
    }
    let samples = Samples::of(&shim);
    assert_eq!(samples.value("apikey_database_errors_total{kind=connect}"), 3.0);
    assert_eq!(samples.value(&requests("keytest", "GET", 503)), 3.0);
    assert_eq!(samples.value("apikey_postgres_stats_up{}"), 0.0);
    database.cluster.start();
}

/// Somebody holds the table.
#[test]
fn who_waits_is_seen_while_they_wait() {
    let mut database = Database::new();
    let key = database.key("'event'");
    let flags = ["--pool-size", "1", "--pool-wait", "1m", "--request-timeout", "1m"];
    let shim = Shim::start(&mut database, &[&ON[..], &flags].concat());
    let mut locking = database.superuser();
    locking.batch_execute("BEGIN; LOCK TABLE apikey.key").unwrap();
    let ask = |_| {
        let mut stream = shim.connect();
        let head = format!(
            "GET /api/user/keytest/ HTTP/1.1\r\nHost: test\r\nConnection: close\r\nX-Api-Key: {key}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream
    };
    let first = ask(0);
    eventually("the connection is in use", || {
        Samples::of(&shim).value("apikey_pool_connections{state=in_use}") == 1.0
    });
    let others: Vec<TcpStream> = (0..5).map(ask).collect();
    eventually("the others wait", || {
        let samples = Samples::of(&shim);
        samples.value("apikey_pool_waiting_requests{}") == 5.0
            && samples.value("apikey_http_requests_in_flight{}") == 6.0
    });
    locking.batch_execute("COMMIT").unwrap();
    for stream in std::iter::once(first).chain(others) {
        assert_eq!(Answer::read(stream).status(), 200);
    }
    let samples = Samples::of(&shim);
    assert_eq!(samples.value("apikey_http_requests_in_flight{}"), 0.0);
    assert_eq!(samples.value("apikey_pool_waiting_requests{}"), 0.0);
}

#[test]
fn the_extensions_own_counters() {
    let mut database = Database::new();
    let key = database.key("'event'");
    let checker = database.checker();
    let conninfo = database.conninfo(&checker);
    let shim = Shim::start_as(&checker, &conninfo, &ON);
    assert_eq!(shim.ask(&key).status(), 200);

    // Without the right to read them there are none, and the server's log says nothing of it.
    let samples = Samples::of(&shim);
    assert_eq!(samples.value("apikey_postgres_stats_up{}"), 0.0);
    assert!(!samples.0.keys().any(|name| name.starts_with("apikey_postgres_checks")));
    let mut superuser = database.superuser();
    let half = format!("GRANT SELECT ON apikey_stats TO {}", checker.role);
    superuser.batch_execute(&half).unwrap();
    assert_eq!(Samples::of(&shim).value("apikey_postgres_stats_up{}"), 0.0);
    let log = database.cluster.log();
    assert!(!log.contains("permission denied for view apikey_stats"), "{log}");
    assert!(!log.contains("permission denied for function stats"), "{log}");

    let whole = format!("GRANT EXECUTE ON FUNCTION apikey.stats() TO {}", checker.role);
    superuser.batch_execute(&whole).unwrap();
    // Other tests share the server, so that its numbers grow meanwhile.
    let names = [
        ("accepted", "apikey_postgres_checks_total{outcome=accepted}"),
        ("malformed", "apikey_postgres_checks_total{outcome=malformed}"),
        ("wrong_secret", "apikey_postgres_checks_total{outcome=wrong_secret}"),
        ("proof_hits", "apikey_postgres_proofs_total{result=hit}"),
        ("proof_misses", "apikey_postgres_proofs_total{result=miss}"),
        ("proof_evictions", "apikey_postgres_proof_evictions_total{}"),
        ("hashes", "apikey_postgres_hashes_total{}"),
        ("hash_waits", "apikey_postgres_hash_waits_total{}"),
        ("usage_dropped", "apikey_postgres_usage_dropped_total{}"),
    ];
    let before = names.map(|(name, _)| stat(&mut superuser, name) as f64);
    let samples = Samples::of(&shim);
    let after = names.map(|(name, _)| stat(&mut superuser, name) as f64);
    assert_eq!(samples.value("apikey_postgres_stats_up{}"), 1.0);
    for (index, (_, name)) in names.into_iter().enumerate() {
        let value = samples.value(name);
        assert!(before[index] <= value && value <= after[index], "{name}: {value}");
    }
    assert!(samples.value("apikey_postgres_checks_total{outcome=accepted}") >= 1.0);
}

/// Without `shared_preload_libraries` the counters are of one connection: of no use to anybody.
#[test]
fn counters_of_one_connection_are_left_out() {
    let database = Database::in_cluster(Cluster::private(&["shared_preload_libraries = ''"]));
    let superuser = database.cluster.superuser();
    let shim = Shim::start_as(&superuser, &database.conninfo(&superuser), &ON);
    assert_eq!(shim.ask(PUBLISHED_KEY).status(), 401);
    assert_eq!(Samples::of(&shim).value("apikey_postgres_stats_up{}"), 0.0);
}

#[test]
fn an_address_that_is_taken() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let flags = ["--database", "postgresql://u@127.0.0.1:1/d", "--listen", "127.0.0.1:0"];
    let output = short_run(&[&flags[..], &["--metrics-listen", &address]].concat(), &[]);
    assert_eq!(output.code, Some(69), "{}", output.stderr);
    assert!(output.stderr.contains(&address), "{}", output.stderr);
}
