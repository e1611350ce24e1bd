//! A Postgres cluster, made and run by `scripts/cluster`.

use crate::from_test_script;
use crate::login::Login;
use crate::program::{program, run};
use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
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
        Self::private_in(Path::new("/tmp"), settings)
    }

    /// A private one with the extension in `shared_preload_libraries`.
    pub fn preloaded(settings: &[&str]) -> Self {
        Self::private(&[&["shared_preload_libraries = 'apikey'"], settings].concat())
    }

    /// A private one whose files are in this directory. Its data is a copy, which is made sooner
    /// than new data.
    pub fn private_in(directory: &Path, settings: &[&str]) -> Self {
        let template = from_test_script("APIKEY_TEST_TEMPLATE");
        Self::made_in(directory, "copy", |copy| {
            copy.args(["0", &template, "fsync = off"]).args(settings);
        })
    }

    /// A private one of the server that this pg_config belongs to.
    pub fn of_server(pg_config: &str) -> Self {
        Self::made_in(Path::new("/tmp"), "init", |init| {
            // PG would contradict a PG_CONFIG of another major.
            init.args(["0", "fsync = off"]).env("PG_CONFIG", pg_config).env_remove("PG");
        })
    }

    /// A running read-only copy that follows this one.
    pub fn standby(&self) -> Self {
        Self::made_in(Path::new("/tmp"), "standby", |standby| {
            standby.arg(&self.directory);
        })
    }

    fn made_in(parent: &Path, by: &str, arguments: impl FnOnce(&mut Command)) -> Self {
        let own = tempfile::Builder::new().prefix("apikey-own.").tempdir_in(parent).unwrap();
        let directory = own.path().join("cluster");
        let mut make = command(by, &directory);
        arguments(&mut make);
        run(&mut make).success();
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

    /// Stops it without giving its processes time to finish.
    pub fn crash(&self) {
        script("stop", &self.directory, &["immediate"]);
    }

    /// Gives a stopped one the server of the tests, by `pg_upgrade`.
    pub fn upgrade(&self) {
        script("upgrade", &self.directory, &[]);
    }

    /// A stopped one starts as a standby next time, of nobody.
    pub fn make_standby(&self) {
        let data = self.directory.join("data");
        let (signal, owner) = (data.join("standby.signal"), fs::metadata(&data).unwrap());
        fs::write(&signal, "").unwrap();
        chown(&signal, Some(owner.uid()), Some(owner.gid())).unwrap();
    }

    /// Whether all that is in it goes with it.
    pub fn is_private(&self) -> bool {
        self.own.is_some()
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

    pub(crate) fn file(&self, name: &str) -> String {
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

fn script(name: &str, directory: &Path, arguments: &[&str]) {
    run(command(name, directory).args(arguments)).success();
}

fn command(name: &str, directory: &Path) -> Command {
    program(SCRIPT, &[name, directory.to_str().unwrap()])
}
