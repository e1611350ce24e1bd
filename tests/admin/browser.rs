//! Chromium, used as a person uses it: by what is written on the page.

use apikey_tests::{CHROMIUM_FLAGS, chromedriver, chromium, eventually, program};
use fantoccini::error::CmdError;
use fantoccini::wd::Capabilities;
use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// A browser with a profile of its own. Both end with it.
pub struct Browser {
    pub(crate) client: Client,
    pub(crate) runtime: Runtime,
    driver: Child,
    _profile: TempDir,
}

impl Browser {
    /// One whose owner prefers this language.
    pub fn new(language: &str) -> Self {
        // It takes a port that is free for IPv4, and ends where that is not free for IPv6.
        let mut starts = (0..10).filter_map(|_| start_driver(language));
        let (driver, port) = starts.next().expect("chromedriver starts");
        let profile = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let client = runtime.block_on(
            ClientBuilder::new(HttpConnector::new())
                .capabilities(capabilities(language, &profile))
                .connect(&format!("http://127.0.0.1:{port}")),
        );
        let client = client.unwrap_or_else(|error| panic!("no browser: {error}"));
        Self { client, runtime, driver, _profile: profile }
    }

    #[track_caller]
    pub(crate) fn wait<T>(&self, what: impl Future<Output = Result<T, CmdError>>) -> T {
        match self.runtime.block_on(what) {
            Ok(outcome) => outcome,
            Err(error) => panic!("{error}\nat {}:\n{}", self.url(), self.text()),
        }
    }

    #[track_caller]
    pub fn go(&self, url: &str) {
        self.wait(self.client.goto(url));
    }

    #[track_caller]
    pub fn reload(&self) {
        self.wait(self.client.refresh());
    }

    pub fn back(&self) {
        self.wait(self.client.back());
    }

    pub fn forward(&self) {
        self.wait(self.client.forward());
    }

    /// Does what leads to another page, and waits until that is there.
    #[track_caller]
    pub fn turning(&self, act: impl FnOnce()) {
        self.script("window.isBefore = true");
        act();
        // On the way from one page to the other there is none to ask.
        let there = "return !window.isBefore && document.readyState == 'complete'";
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.runtime.block_on(self.client.execute(there, vec![])).ok()
            != Some(Value::Bool(true))
        {
            assert!(
                Instant::now() < deadline,
                "it led nowhere, but to {}:\n{}",
                self.url(),
                self.text()
            );
            sleep(Duration::from_millis(20));
        }
    }

    pub fn url(&self) -> String {
        self.runtime.block_on(self.client.current_url()).unwrap().to_string()
    }

    /// The part of the address after the host.
    pub fn path(&self) -> String {
        let url = self.runtime.block_on(self.client.current_url()).unwrap();
        url[url::Position::BeforePath..].to_owned()
    }

    #[track_caller]
    pub fn assert_path(&self, path: &str) {
        assert_eq!(self.path(), path, "{}", self.text());
    }

    pub fn title(&self) -> String {
        self.wait(self.client.title())
    }

    /// What can be read on the page.
    pub fn text(&self) -> String {
        self.script("return document.body.innerText").as_str().unwrap_or_default().to_owned()
    }

    #[track_caller]
    pub fn assert_reads(&self, text: &str) {
        let page = self.text();
        assert!(page.contains(text), "{text:?} is not on {}:\n{page}", self.url());
    }

    /// As `assert_reads`, of what a script writes in its own time.
    pub fn eventually_reads(&self, text: &str) {
        eventually(&format!("{text} is on the page"), || self.text().contains(text));
    }

    pub fn source(&self) -> String {
        self.wait(self.client.source())
    }

    /// The result of a script, which the page's Content-Security-Policy does not hold back.
    pub fn script(&self, script: &str) -> Value {
        self.runtime.block_on(self.client.execute(script, vec![])).unwrap()
    }

    /// The cookies of this page, with those that no script can read.
    pub fn cookies(&self) -> Vec<fantoccini::cookies::Cookie<'static>> {
        self.wait(self.client.get_all_cookies())
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.runtime.block_on(self.client.clone().close());
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// With its port, if it gets one.
fn start_driver(language: &str) -> Option<(Child, u16)> {
    let mut driver = program(&chromedriver(), &["--port=0"])
        .env("LANGUAGE", language) // the browser's own words, such as the order of a date
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(driver.stdout.take().unwrap()).lines().map_while(Result::ok);
    let port = said.find_map(|line| {
        line.split_once("successfully on port ")?.1.trim_end_matches('.').parse().ok()
    });
    if port.is_none() {
        driver.wait().unwrap();
    }
    // What it still says has somewhere to go, or it would end.
    std::thread::spawn(move || said.for_each(drop));
    Some((driver, port?))
}

fn capabilities(language: &str, profile: &TempDir) -> Capabilities {
    let mut flags: Vec<_> = CHROMIUM_FLAGS.iter().map(|flag| flag.to_string()).collect();
    flags.push(format!("--user-data-dir={}", profile.path().display()));
    flags.push("--window-size=1000,700".to_owned());
    let options = json!({
        "binary": chromium(),
        "args": flags,
        "prefs": { "intl.accept_languages": language },
    });
    let logged = json!({ "browser": "ALL" });
    [("goog:chromeOptions".to_owned(), options), ("goog:loggingPrefs".to_owned(), logged)]
        .into_iter()
        .collect()
}
