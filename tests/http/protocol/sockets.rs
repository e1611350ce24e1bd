//! Listening elsewhere than on a port: Unix sockets, and sockets that systemd opened.

use apikey_tests::{Database, Shim, eventually, from_test_script, program, run, short_run};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Stdio;

/// curl through a Unix socket: the body and the status.
fn curl(socket: &Path, key: &str, headers: &[&str]) -> (String, String) {
    let mut command = program("curl", &["--silent", "--show-error", "--max-time", "20"]);
    command.arg("--unix-socket").arg(socket).args(["--write-out", "\n%{http_code}"]);
    for header in
        headers.iter().map(|header| (*header).to_owned()).chain([format!("X-Api-Key: {key}")])
    {
        command.args(["--header", &header]);
    }
    let output = run(command.arg("http://localhost/api/user/keytest/")).success();
    let (body, status) = output.rsplit_once('\n').unwrap();
    (body.to_owned(), status.to_owned())
}

#[test]
fn on_a_unix_socket_the_client_is_unknown_unless_it_is_trusted() {
    let mut database = Database::new();
    let key = database.key("'event', '192.0.2.7'");
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("shim.sock");
    let listen = format!("127.0.0.1:0,unix:{}", path.display());
    let checker = database.checker();
    let forwarded = ["X-Forwarded-For: 192.0.2.7"];
    for (trusted, expected) in [
        ("0.0.0.0/0,::/0", r#"{"auth":"event","ip_request":null,"ip_valid":false}"#),
        ("unix", r#"{"auth":"event","ip_request":"192.0.2.7","ip_valid":true}"#),
    ] {
        // The second one finds the socket that the first one left behind.
        let flags = ["--listen", &listen, "--socket-mode", "0600", "--trusted-proxy", trusted];
        let shim = Shim::start_as(&checker, &database.conninfo(&checker), &flags);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(curl(&path, &key, &forwarded), (expected.to_owned(), "200".to_owned()));
        assert_eq!(curl(&path, "no key", &[]).1, "401");
        // The port serves as well.
        assert_eq!(shim.ask(&key).status(), 200);
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 1, "nothing else is left there");
    }
}

/// A successor takes the name over, and the old one finishes what it has.
#[test]
fn a_unix_socket_changes_hands_without_a_gap() {
    let mut database = Database::new();
    let key = database.key("'event'");
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("shim.sock");
    let listen = format!("127.0.0.1:0,unix:{}", path.display());
    let checker = database.checker();
    let start = || Shim::start_as(&checker, &database.conninfo(&checker), &["--listen", &listen]);
    let mut shim = start();
    for _ in 0..10 {
        let next = start();
        shim.signal("TERM");
        for _ in 0..5 {
            assert_eq!(curl(&path, &key, &[]).1, "200");
        }
        assert_eq!(shim.wait().code(), Some(0));
        shim = next;
    }
}

#[test]
fn what_is_no_socket_is_not_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("shim.sock");
    fs::write(&path, "precious").unwrap();
    let listen = format!("unix:{}", path.display());
    let output =
        short_run(&["--database", "host=127.0.0.1 user=u dbname=d", "--listen", &listen], &[]);
    assert_eq!(output.code, Some(69), "{}", output.stderr);
    assert!(output.stderr.contains(&listen), "{}", output.stderr);
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
}

#[test]
fn systemd_passes_a_unix_socket_on() {
    let mut database = Database::new();
    let key = database.key("'event'");
    let checker = database.checker();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("activated.sock");
    let mut child = program("systemd-socket-activate", &["-l", path.to_str().unwrap()])
        .arg(from_test_script("APIKEY_SHIM"))
        .args(["--listen", "systemd", "--trusted-proxy", "unix", "--database"])
        .arg(format!("{} password='{}'", database.conninfo(&checker), checker.password))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    eventually("systemd listens", || path.exists());
    let (body, status) = curl(&path, &key, &["X-Forwarded-For: 192.0.2.7"]);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(status, "200");
    assert!(body.contains(r#""ip_request":"192.0.2.7""#), "{body}");
}

#[test]
fn sockets_that_are_missing_or_unexpected_are_errors() {
    let flags = ["--database", "host=127.0.0.1 user=u dbname=d", "--listen", "systemd"];
    let output = short_run(&flags, &[]);
    assert_eq!(output.code, Some(69), "{}", output.stderr);
    assert!(output.stderr.contains("LISTEN_FDS"), "{}", output.stderr);

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("unexpected.sock");
    let mut child = program("systemd-socket-activate", &["-l", path.to_str().unwrap()])
        .arg(from_test_script("APIKEY_SHIM"))
        .args([&flags[..2], &["--listen", "127.0.0.1:0"]].concat())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    eventually("systemd listens", || path.exists());
    let _connected = std::os::unix::net::UnixStream::connect(&path).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(69));
}

/// As systemd itself judges them: no mistakes, and next to nothing left that the service could do
/// to the system.
#[test]
fn the_unit_files_are_sound_and_hardened() {
    let directory = tempfile::tempdir().unwrap();
    let unit = |name: &str| {
        let source = format!("{}/../deploy/systemd/{name}", env!("CARGO_MANIFEST_DIR"));
        let text = fs::read_to_string(source).unwrap();
        assert!(!name.ends_with("service") || text.contains("/usr/local/bin/apikey-shim"));
        let path = directory.path().join(name);
        let text = text.replace("/usr/local/bin/apikey-shim", &from_test_script("APIKEY_SHIM"));
        fs::write(&path, text).unwrap();
        path
    };
    let units = ["apikey-shim.service", "apikey-shim.socket"].map(unit);
    let verified = run(program("systemd-analyze", &["verify"]).args(&units));
    assert_eq!((verified.code, &*verified.stderr), (Some(0), ""), "{}", verified.stdout);
    // In tenths, of 100.
    let security = ["security", "--offline=true", "--threshold=15"];
    let judged = run(program("systemd-analyze", &security).arg(&units[0]));
    assert_eq!(judged.code, Some(0), "{}{}", judged.stdout, judged.stderr);
}

/// READY=1 once clients can connect, STOPPING=1 when it ends.
#[test]
fn the_service_manager_is_told() {
    let mut database = Database::new();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notify.sock");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(std::time::Duration::from_secs(20))).unwrap();
    let told = || {
        let mut bytes = [0; 512];
        let length = manager.recv(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..length]).trim().to_owned()
    };
    let variable = format!("NOTIFY_SOCKET={}", path.display());
    let mut shim = Shim::start_by(&["env", &variable], &mut database, &[]);
    assert_eq!(told(), "READY=1");
    assert_eq!(shim.get("/live", &[]).status(), 200);
    shim.signal("TERM");
    assert_eq!(told(), "STOPPING=1");
    assert_eq!(shim.wait().code(), Some(0));
}
