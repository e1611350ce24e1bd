//! A Postgres cluster, made and run by `scripts/cluster`.

use crate::program::{program, run};
use crate::{Login, from_test_script};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/cluster");

pub struct Cluster {
    directory: PathBuf,
    /// Present in a cluster of the test's own, which ends with it.
    own: Option<TempDir>,
}

impl Cluster {
    /// The one that `scripts/test` started.
    pub fn shared() -> Self {
        Self { directory: from_test_script("APIKEY_TEST_CLUSTER").into(), own: None }
    }

    /// A running one for a test that stops it or changes its settings, which `settings` adds to.
    pub fn private(settings: &[&str]) -> Self {
        let own = tempfile::Builder::new().prefix("apikey-own.").tempdir_in("/tmp").unwrap();
        let directory = own.path().join("cluster");
        script("init", &directory, &[&["0", "fsync = off"], settings].concat());
        let cluster = Self { directory, own: Some(own) };
        cluster.start();
        cluster
    }

    pub fn start(&self) {
        script("start", &self.directory, &[]);
    }

    pub fn stop(&self) {
        script("stop", &self.directory, &[]);
    }

    pub fn port(&self) -> u16 {
        self.file("port").trim().parse().unwrap()
    }

    pub fn superuser(&self) -> Login {
        let password = self.file("superuser-password").trim().to_owned();
        Login { role: "postgres".to_owned(), password }
    }

    /// The server's log so far.
    pub fn log(&self) -> String {
        self.file("log")
    }

    fn file(&self, name: &str) -> String {
        let path = self.directory.join(name);
        fs::read(&path)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.own.is_some() {
            script("destroy", &self.directory, &[]);
        }
    }
}

fn script(command: &str, directory: &Path, arguments: &[&str]) {
    let directory = directory.to_str().unwrap();
    run(program(SCRIPT, &[command, directory]).args(arguments)).success();
}
