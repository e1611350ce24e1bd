//! What stands in `deploy/` for Prometheus and Grafana, with a real Prometheus that reads the shim.

use apikey_tests::{
    Database, Samples, Shim, eventually, free_address, from_test_script, program, run,
};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs::{File, read_to_string, write};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

const DEPLOY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy");

fn tool(name: &str) -> String {
    format!("{}/{name}", from_test_script("APIKEY_PROMETHEUS"))
}

/// A shim whose role may read everything, which has answered something.
fn shim(database: &mut Database) -> Shim {
    let checker = database.checker();
    let grants = format!(
        "GRANT SELECT ON apikey_stats TO {0}; GRANT EXECUTE ON FUNCTION apikey.stats() TO {0}",
        checker.role
    );
    database.superuser().batch_execute(&grants).unwrap();
    let flags = ["--metrics-listen", "127.0.0.1:0"];
    let shim = Shim::start_as(&checker, &database.conninfo(&checker), &flags);
    assert_eq!(shim.ask(&database.key("'event'")).status(), 200);
    shim
}

/// The queries of the dashboard, as Grafana would send them.
fn queries() -> Vec<String> {
    let text = read_to_string(format!("{DEPLOY}/grafana/apikey.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    let queries = targets.map(|target| target["expr"].as_str().unwrap());
    queries
        .map(|query| query.replace("$__rate_interval", "1m").replace("$instance", ".*"))
        .collect()
}

fn names(text: &str) -> Vec<&str> {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    words.filter(|word| word.starts_with("apikey_")).collect()
}

#[test]
fn dashboard_and_alerts_name_metrics_that_there_are() {
    let mut database = Database::new();
    let samples = Samples::of(&shim(&mut database));
    let alerts = read_to_string(format!("{DEPLOY}/prometheus/alerts.yml")).unwrap();
    let mut texts = queries();
    texts.push(alerts);
    assert!(texts.len() > 10);
    for name in texts.iter().flat_map(|text| names(text)) {
        let is_there = samples.0.keys().any(|sample| sample.split('{').next() == Some(name));
        assert!(is_there, "{name} is not in {:#?}", samples.0.keys());
    }
}

/// Both ways: nothing is left out, and nothing was renamed.
#[test]
fn the_page_on_operating_has_each_metric() {
    let mut database = Database::new();
    let shim = shim(&mut database);
    let text = shim.ask_for_metrics("GET", "/metrics").body;
    let there = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    let there: BTreeSet<_> = there.collect();
    let page = read_to_string(format!("{DEPLOY}/../docs/operating.md")).unwrap();
    let rows = page.lines().filter(|line| line.starts_with("| `apikey_"));
    let described = rows.flat_map(|row| names(row.split('|').nth(1).unwrap())).collect();
    // One needs a client that leaves, which HTTP/1.1 has no way to say.
    let there: BTreeSet<_> =
        there.into_iter().chain(["apikey_http_requests_abandoned_total"]).collect();
    assert_eq!(there, described);
}

#[test]
fn promtool_accepts_the_alerts_and_their_test() {
    for (kind, check, file) in [
        ("check", "config", "prometheus.yml"),
        ("check", "rules", "alerts.yml"),
        ("test", "rules", "alerts.test.yml"),
    ] {
        let file = format!("{DEPLOY}/prometheus/{file}");
        run(&mut program(&tool("promtool"), &[kind, check, &file])).success();
    }
}

/// A real one, which ends with the test.
struct Prometheus {
    child: Child,
    address: String,
    files: TempDir,
}

impl Prometheus {
    fn reading(shim: &Shim) -> Self {
        let files = tempfile::tempdir().unwrap();
        let config = read_to_string(format!("{DEPLOY}/prometheus/prometheus.yml")).unwrap();
        let target = shim.metrics_address().to_string();
        let config = config.replace("127.0.0.1:9187", &target).replace("15s", "200ms");
        assert!(config.contains(&target) && config.contains("200ms"));
        let path = |name: &str| files.path().join(name).to_str().unwrap().to_owned();
        write(path("prometheus.yml"), config).unwrap();
        std::fs::copy(format!("{DEPLOY}/prometheus/alerts.yml"), path("alerts.yml")).unwrap();
        let free = free_address();
        let child = Command::new(tool("prometheus"))
            .arg(format!("--config.file={}", path("prometheus.yml")))
            .arg(format!("--storage.tsdb.path={}", path("data")))
            .arg(format!("--web.listen-address={free}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(path("log")).unwrap())
            .spawn()
            .unwrap();
        Self { child, address: free.to_string(), files }
    }

    /// The series that a query has now; panics where it is none that Prometheus understands.
    fn query(&self, query: &str) -> Vec<Value> {
        let url = format!("http://{}/api/v1/query", self.address);
        let query = format!("query={query}");
        let curl = ["-sS", "--max-time", "10", "--data-urlencode", &query, &url];
        let output = run(&mut program("curl", &curl));
        let Ok(answer) = serde_json::from_str::<Value>(&output.stdout) else {
            return Vec::new(); // It is still starting.
        };
        assert_eq!(answer["status"], "success", "{query}: {answer}");
        answer["data"]["result"].as_array().unwrap().clone()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("{}", read_to_string(self.files.path().join("log")).unwrap());
        }
    }
}

#[test]
fn a_real_prometheus_answers_each_query_of_the_dashboard() {
    let mut database = Database::new();
    let shim = shim(&mut database);
    let prometheus = Prometheus::reading(&shim);
    for query in queries() {
        eventually(&format!("Prometheus has an answer to {query}"), || {
            !prometheus.query(&query).is_empty()
        });
    }
    // What it read is what there is.
    let asked = prometheus.query(r#"apikey_http_requests_total{route="keytest",status="200"}"#);
    assert_eq!(asked[0]["value"][1], "1", "{asked:#?}");
    let up = prometheus.query("apikey_postgres_stats_up");
    assert_eq!(up[0]["value"][1], "1", "{up:#?}");
}
