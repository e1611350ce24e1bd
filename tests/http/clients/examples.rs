//! The examples that the platform publishes for its clients, word for word but for host and key.

use apikey_tests::{CHROMIUM_FLAGS, Database, Shim, chromium, one, program, run};
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

const ANSWER: &str = r#"{"auth":"event","ip_request":"127.0.0.1","ip_valid":true}"#;

fn key_for_loopback(database: &Database) -> String {
    one(&mut database.superuser(), "SELECT apikey_create('cashless', 'event', '127.0.0.1')")
        .unwrap()
}

fn header(key: &str) -> String {
    format!("Authorization: Api-Key {key}")
}

#[test]
fn wget() {
    let mut database = Database::new();
    let key = key_for_loopback(&database);
    let shim = Shim::start(&mut database, &[]);
    let arguments =
        ["--quiet", "--method", "GET", "--header", &header(&key), "--output-document", "-"];
    let output = run(program("wget", &arguments).arg(shim.url("/api/user/keytest/")));
    assert_eq!(output.success(), ANSWER);
}

#[test]
fn curl() {
    let mut database = Database::new();
    let key = key_for_loopback(&database);
    let shim = Shim::start(&mut database, &[]);
    let url = shim.url("/admin/api/user/keytest/");
    let arguments = ["-sS", "--request", "GET", "--url", &url, "--header", &header(&key)];
    assert_eq!(run(&mut program("curl", &arguments)).success(), ANSWER);
}

#[test]
fn python_requests() {
    let mut database = Database::new();
    let key = key_for_loopback(&database);
    let shim = Shim::start(&mut database, &[]);
    let script = format!(
        r#"
import requests

url = "{}"

payload = ""
headers = {{"Authorization": "Api-Key {key}"}}

response = requests.request("GET", url, data=payload, headers=headers)

print(response.text)
print(list(response.json()))
"#,
        shim.keytest()
    );
    // Debian's own Python, which has Debian's requests.
    let output = run(&mut program("/usr/bin/python3", &["-c", &script]));
    assert_eq!(output.success(), format!("{ANSWER}\n['auth', 'ip_request', 'ip_valid']"));
}

/// A page of another origin, on a server of its own.
struct Page {
    server: Child,
    origin: String,
    directory: tempfile::TempDir,
}

impl Page {
    fn serve() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().to_str().unwrap();
        let arguments =
            ["-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", path];
        let mut server = program("/usr/bin/python3", &arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.split("port ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
        Self { origin: format!("http://127.0.0.1:{port}"), server, directory }
    }

    /// What a browser's console shows after it has opened a page with this script.
    fn console(&self, script: &str) -> String {
        let html = format!("<!doctype html><title>test</title><script>{script}</script>");
        std::fs::write(self.directory.path().join("page.html"), html).unwrap();
        let profile = tempfile::tempdir().unwrap();
        let output = run(program(&chromium(), CHROMIUM_FLAGS)
            .args([
                "--enable-logging=stderr",
                "--virtual-time-budget=10000",
                "--timeout=20000",
                "--dump-dom",
            ])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg(format!("{}/page.html", self.origin)));
        let console: Vec<_> =
            output.stderr.lines().filter(|line| line.contains("CONSOLE")).collect();
        console.join("\n")
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn published_script(url: &str, key: &str) -> String {
    format!(
        r#"
const data = null;

const xhr = new XMLHttpRequest();
xhr.withCredentials = true;

xhr.addEventListener("readystatechange", function () {{
    if (this.readyState === this.DONE) {{
        console.log(this.responseText);
    }}
}});

xhr.open("GET", "{url}");
xhr.setRequestHeader("Authorization", "Api-Key {key}");

xhr.send(data);
"#
    )
}

#[test]
fn a_browser_on_a_page_of_another_origin() {
    let mut database = Database::new();
    let key = key_for_loopback(&database);
    let page = Page::serve();
    let shim = Shim::start(&mut database, &["--cors-origin", &page.origin]);

    let console = page.console(&published_script(&shim.keytest(), &key));
    assert!(console.contains(&format!("\"{ANSWER}\"")), "{console}");

    // A refusal can be read, too: without CORS headers on it, the script would see nothing.
    let console = page.console(&published_script(&shim.keytest(), "no key"));
    assert!(console.contains("carries no valid API key"), "{console}");
}

#[test]
fn a_browser_on_a_page_of_a_stranger() {
    let mut database = Database::new();
    let key = key_for_loopback(&database);
    let page = Page::serve();
    let shim = Shim::start(&mut database, &["--cors-origin", "https://shop.example"]);
    let console = page.console(&published_script(&shim.keytest(), &key));
    assert!(
        console.contains("blocked by CORS policy") && !console.contains("ip_valid"),
        "{console}"
    );
}
