//! `make run`, twice at once.

use crate::ROOT;
use apikey_tests::{free_address, program, run, signal};
use std::fs::Permissions;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use tempfile::TempDir;

struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let place = tempfile::Builder::new().prefix("apikey-run.").tempdir_in("/tmp").unwrap();
        std::fs::set_permissions(place.path(), Permissions::from_mode(0o755)).unwrap();
        Self(place)
    }

    /// A script of the checkout that has its state here, and ports of its own.
    fn script(&self, name: &str, arguments: &[&str]) -> Command {
        let mut command = program(&format!("{ROOT}/scripts/{name}"), arguments);
        command.env("APIKEY_STATE", self.0.path());
        for variable in ["PG_PORT", "HTTP_PORT"] {
            command.env(variable, free_address().port().to_string());
        }
        command
    }
}

#[test]
fn a_second_one_leaves_the_first_alone() {
    let place = Place::new();
    let mut first = place.script("run", &[]).stdout(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(first.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(said.any(|line| line.starts_with("Ctrl-C stops both")), "it ended");

    let second = run(&mut place.script("run", &[]));
    assert_eq!(second.code, Some(1));
    assert!(second.stderr.contains("make run is running already"), "{}", second.stderr);
    let count = || run(&mut place.script("psql", &["-XAtc", "SELECT count(*) FROM keys.apikeys"]));
    assert_eq!(count().success(), "1");
    let clean = run(&mut place.script("clean", &[]));
    assert!(clean.stderr.contains("make run is running"), "{}", clean.stderr);
    assert_eq!(count().success(), "1");

    signal("INT", &[first.id()]);
    assert_eq!(first.wait().unwrap().code(), Some(0));
    assert!(count().stderr.contains("is not running"));
}
