//! A Postgres cluster, made and run by `scripts/cluster`.

use crate::program::{program, run};
use crate::{Login, from_test_script};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
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
        Self::of_server(&from_test_script("PG_CONFIG"), settings)
    }

    /// A private one of the server that this pg_config belongs to.
    pub fn of_server(pg_config: &str, settings: &[&str]) -> Self {
        let (own, directory) = own_directory();
        let arguments = [&["0", "fsync = off"], settings].concat();
        // PG would contradict a PG_CONFIG of another major.
        let mut init = command("init", &directory);
        run(init.args(arguments).env("PG_CONFIG", pg_config).env_remove("PG")).success();
        let cluster = Self { directory, own: Some(own) };
        cluster.start();
        cluster
    }

    /// A running read-only copy that follows this one.
    pub fn standby(&self) -> Self {
        let (own, directory) = own_directory();
        let primary = self.directory.to_str().unwrap();
        script("standby", &directory, &[primary]);
        let standby = Self { directory, own: Some(own) };
        standby.start();
        standby
    }

    pub fn start(&self) {
        script("start", &self.directory, &[]);
    }

    pub fn stop(&self) {
        script("stop", &self.directory, &[]);
    }

    /// Stops it without giving its processes time to finish.
    pub fn crash(&self) {
        script("stop", &self.directory, &["immediate"]);
    }

    /// Gives a stopped one the server of the tests, by `pg_upgrade`.
    pub fn upgrade(&self) {
        script("upgrade", &self.directory, &[]);
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

fn own_directory() -> (TempDir, PathBuf) {
    let own = tempfile::Builder::new().prefix("apikey-own.").tempdir_in("/tmp").unwrap();
    let directory = own.path().join("cluster");
    (own, directory)
}

fn script(name: &str, directory: &Path, arguments: &[&str]) {
    run(command(name, directory).args(arguments)).success();
}

fn command(name: &str, directory: &Path) -> Command {
    program(SCRIPT, &[name, directory.to_str().unwrap()])
}
