//! Machines and checkouts that are not like the one that these were written on.

use crate::ROOT;
use apikey_tests::{Output, program, run};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The scripts and what they read, in a directory whose name has a blank.
struct Checkout(TempDir);

impl Checkout {
    fn new() -> Self {
        let checkout = tempfile::Builder::new().prefix("a checkout.").tempdir_in("/tmp").unwrap();
        fs::set_permissions(checkout.path(), Permissions::from_mode(0o755)).unwrap();
        let mut copy = program("cp", &["-r"]);
        copy.args(["scripts", "Cargo.toml", "Makefile"].map(|name| Path::new(ROOT).join(name)));
        run(copy.arg(checkout.path())).success();
        Self(checkout)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A command in it, without the settings of `scripts/test`, and these programs before all
    /// others.
    fn run(&self, command: &str, programs: &[(&str, &str)]) -> Output {
        let bin = self.path("bin");
        fs::create_dir_all(&bin).unwrap();
        for (name, text) in programs {
            fs::write(bin.join(name), format!("#!/bin/sh\n{text}\n")).unwrap();
            fs::set_permissions(bin.join(name), Permissions::from_mode(0o755)).unwrap();
        }
        let path = format!("PATH={}:/usr/bin:/bin", bin.display());
        run(program("env", &["-i", &path, "bash", "-c", command]).current_dir(self.0.path()))
    }
}

#[test]
fn a_machine_without_a_server_to_fetch_is_told_so_before_anything_is_installed() {
    let checkout = Checkout::new();
    let programs = [("uname", "echo Linux aarch64"), ("apt-get", "touch called")];
    for script in ["run", "test", "bench", "lint"] {
        let output = checkout.run(&format!("scripts/{script}"), &programs);
        assert_eq!(output.code, Some(1), "{}", output.stderr);
        assert!(
            output.stderr.contains("x86_64") && output.stderr.contains("PG_CONFIG="),
            "{}",
            output.stderr
        );
        assert!(!checkout.path("called").exists(), "{}", output.stderr);
    }
}

#[test]
fn the_path_of_an_ordinary_user_is_enough() {
    let found =
        Checkout::new().run(". scripts/lib.sh && command -v haproxy useradd", &[]).success();
    assert_eq!(found, "/usr/sbin/haproxy\n/usr/sbin/useradd");
}

/// Root's servers run as somebody else, who cannot enter a checkout in root's home.
#[test]
fn a_closed_checkout_has_its_state_elsewhere() {
    let checkout = Checkout::new();
    fs::set_permissions(checkout.0.path(), Permissions::from_mode(0o700)).unwrap();
    let state = || checkout.run(". scripts/lib.sh && echo \"$STATE\"", &[]).success();
    let own = checkout.path(".state").to_str().unwrap().to_owned();
    let is_root = run(&mut program("id", &["-u"])).success() == "0";
    if is_root {
        let place = checkout.0.path().to_str().unwrap().replace('/', "-");
        assert_eq!(state(), format!("/var/lib/apikey-dev{place}"));
    } else {
        assert_eq!(state(), own);
    }
    fs::set_permissions(checkout.0.path(), Permissions::from_mode(0o755)).unwrap();
    assert_eq!(state(), own);
}

#[test]
fn clean_leaves_nothing_but_what_cargo_built_and_what_is_somebody_elses() {
    let checkout = Checkout::new();
    let made = ["bin", "pg/18/bin", "prometheus", "python/django/bin"]
        .map(|name| format!(".state/{name}"));
    let modules = ["tests/admin/node_modules", "examples/node/node_modules"].map(str::to_owned);
    for name in made.iter().chain(&modules).chain(["target".to_owned()].iter()) {
        fs::create_dir_all(checkout.path(name)).unwrap();
    }
    let said = checkout.run("make clean", &[]);
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    assert!(said.stderr.contains("cargo clean"), "{}", said.stderr);
    assert!(!checkout.path(".state").exists() && checkout.path("target").exists());
    assert!(modules.iter().all(|name| !checkout.path(name).exists()));

    fs::create_dir_all(checkout.path(".state/mine")).unwrap();
    let said = checkout.run("make clean", &[]).stderr;
    assert!(checkout.path(".state/mine").exists() && said.contains("holds other things"), "{said}");
}
