//! Wrong settings are refused before anything listens, with a sentence that names them.

use apikey_tests::{Database, Shim, short_run};
use std::collections::BTreeSet;
use std::net::TcpListener;

const DATABASE: [&str; 2] = ["--database", "postgresql://u@127.0.0.1:1/d"];

#[test]
fn each_wrong_setting_is_named() {
    for (flag, value) in [
        ("--listen", "nowhere"),
        ("--listen", "127.0.0.1"),
        ("--listen", "127.0.0.1:99999"),
        ("--database", "mysql://u:hunter2@h/d"),
        ("--database", "postgresql://u:hunter2@h/d?sslmode=maybe"),
        ("--database", "postgresql://u:hunter2@h/d?sslmode=allow"),
        (
            "--database",
            "postgresql://u:hunter2@h/d?sslmode=verify-full&sslrootcert=/nonexistent.pem",
        ),
        ("--database", "host=h password=hunter2 nonsense=1"),
        ("--database-password-file", "/nonexistent/password"),
        ("--listen", "unix:relative.sock"),
        ("--socket-mode", "rw"),
        ("--tls-certificate", "/nonexistent.crt"),
        ("--proxy-protocol", "balancer.example"),
        ("--pool-queue", "0"),
        ("--pool-size", "0"),
        ("--pool-size", "many"),
        ("--pool-wait", "5"),
        ("--request-timeout", "0s"),
        ("--header-timeout", "soon"),
        ("--idle-timeout", "0s"),
        ("--max-header-bytes", "1"),
        ("--max-connections", "0"),
        ("--trusted-proxy", "proxy.example"),
        ("--trusted-proxy", "10.0.0.0/33"),
        ("--forwarded-header", "x-real-ip"),
        ("--key-header", "Authorization"),
        ("--key-header", "HTTP_X_API_KEY"),
        ("--key-header", "Api Key"),
        ("--cors-origin", "*"),
        ("--cors-origin", "shop.example"),
        ("--cors-origin", "https://shop.example/path"),
        ("--cors-header", "*"),
        ("--cors-header", "x y"),
        ("--cors-header", "traceparent"), // without an origin
        ("--realm", "line\nbreak"),
        ("--shutdown-timeout", "-1s"),
        ("--log", "loud"),
        ("--log", "warnn"),
        ("--log", "info,hyper=debug"),
        ("--log", "apikey_shim=loudest"),
        ("--log", "apikey_shim::nowhere=debug"),
        ("--log-format", "xml"),
        ("--metrics-listen", "nowhere"),
        ("--admin-host", "https://keys.example.org"),
        ("--admin-host", "keys.example.org:8081"),
        ("--admin-recheck", "2m"),
    ] {
        let environment = format!("APIKEY_{}", flag[2..].to_uppercase().replace('-', "_"));
        let database = if flag == "--database" { &[][..] } else { &DATABASE };
        let assigned = format!("{flag}={value}");
        let by_flag = [database, &[&*assigned]].concat();
        for output in [short_run(&by_flag, &[]), short_run(database, &[(&environment, value)])] {
            assert_eq!(output.code, Some(64), "{flag}={value}: {}", output.stderr);
            assert!(output.stderr.contains(flag), "{flag}={value}: {}", output.stderr);
            assert!(!output.stderr.contains("hunter2"), "{flag}={value}: {}", output.stderr);
            assert!(output.stdout.is_empty(), "it listened: {}", output.stdout);
        }
    }
}

#[test]
fn what_is_missing_or_unknown() {
    let output = short_run(&[], &[]);
    assert_eq!(output.code, Some(64));
    assert!(output.stderr.contains("--database"), "{}", output.stderr);
    let output = short_run(&["--databse", "x"], &[]);
    assert_eq!(output.code, Some(64));
    assert!(output.stderr.contains("--databse"), "{}", output.stderr);
    let output = short_run(&[&DATABASE[..], &["--admin-tls"]].concat(), &[]);
    assert_eq!(output.code, Some(64));
    let said = "--admin-tls (APIKEY_ADMIN_TLS): --tls-certificate is missing";
    assert!(output.stderr.contains(said), "{}", output.stderr);
}

#[test]
fn help_and_version() {
    let help = short_run(&["--help"], &[]).success();
    for setting in [
        "--listen",
        "APIKEY_DATABASE",
        "--trusted-proxy",
        "[default: 5s]",
        "Example:",
        "Exit status:",
    ] {
        assert!(help.contains(setting), "{setting} is not in {help}");
    }
    // No value of the environment is shown: it may hold a password.
    let with_secret = short_run(&["--help"], &[("APIKEY_DATABASE", "postgresql://u:hunter2@h/d")]);
    assert!(!with_secret.success().contains("hunter2"));
    assert_eq!(
        short_run(&["--version"], &[]).success(),
        concat!("apikey-shim ", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn the_docs_have_each_setting_and_no_other() {
    let flags = |text: &str| -> BTreeSet<String> {
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
        words.filter(|word| word.starts_with("--") && word.len() > 2).map(str::to_owned).collect()
    };
    let help = short_run(&["--help"], &[]).success();
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/shim.md");
    let page = std::fs::read_to_string(page).unwrap();
    let mut table = String::new();
    for row in page.lines().filter(|line| line.starts_with("| `--")) {
        table += row.split('|').nth(1).unwrap();
    }
    let mut known = flags(&help);
    for everywhere in ["--help", "--version"] {
        assert!(known.remove(everywhere), "{known:?}");
    }
    assert_eq!(flags(&table), known);
}

#[test]
fn a_port_that_is_taken() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = short_run(&[&DATABASE[..], &["--listen", &address]].concat(), &[]);
    assert_eq!(output.code, Some(69), "{}", output.stderr);
    assert!(output.stderr.contains(&address), "{}", output.stderr);
}

/// Everything by the environment, as a container has it: it gets as far as the port.
#[test]
fn the_environment_is_enough() {
    let mut database = Database::new();
    let shim = Shim::start(&mut database, &[]);
    let taken = shim.address.to_string();
    let output =
        short_run(&[], &[("APIKEY_DATABASE", "host=127.0.0.1 user=u"), ("APIKEY_LISTEN", &taken)]);
    assert_eq!(output.code, Some(69), "{}", output.stderr);
    assert!(output.stderr.contains(&taken), "{}", output.stderr);
}
