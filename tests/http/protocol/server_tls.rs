//! TLS to clients, with HTTP/1.1 and HTTP/2, and certificates that change meanwhile.

use apikey_tests::{Certificate, Database, Output, Shim, eventually, program, run, short_run};
use std::fs;
use std::path::Path;

fn start(files: &Certificate, database: &mut Database, flags: &[&str]) -> Shim {
    let tls = files.flags();
    let tls: Vec<_> = tls.iter().map(String::as_str).collect();
    Shim::start(database, &[&tls[..], flags].concat())
}

fn url(shim: &Shim, path: &str) -> String {
    format!("https://{}{path}", shim.address)
}

fn curl(trusted: &Path, flags: &[&str], url: &str) -> Output {
    let mut command = program("curl", &["--silent", "--show-error", "--max-time", "20"]);
    command
        .arg("--cacert")
        .arg(trusted)
        .args(["--write-out", "\n%{http_code} HTTP/%{http_version}"]);
    run(command.args(flags).arg(url))
}

/// The fingerprint of the certificate that is shown to whoever connects.
fn fingerprint(shim: &Shim) -> String {
    let script = "openssl s_client -connect \"$0\" </dev/null 2>/dev/null | openssl x509 -noout -fingerprint -sha256";
    run(&mut program("bash", &["-c", script, &shim.address.to_string()])).success()
}

#[test]
fn both_versions_of_http_by_clients_that_others_wrote() {
    let mut database = Database::new();
    let key = database.key("'event'");
    let files = Certificate::new();
    let shim = start(&files, &mut database, &[]);
    let header = format!("X-Api-Key: {key}");
    let body = r#"{"auth":"event","ip_request":"127.0.0.1","ip_valid":true}"#;
    for (flag, version) in [("--http2", "2"), ("--http1.1", "1.1")] {
        let ask = |path: &str, header: &str| {
            curl(&files.certificate(), &[flag, "--header", header], &url(&shim, path)).success()
        };
        let expected = format!("{body}\n200 HTTP/{version}");
        assert_eq!(ask("/api/user/keytest/", &header), expected);
        assert!(
            ask("/api/user/keytest/", "X-Api-Key: no").ends_with(&format!("401 HTTP/{version}"))
        );
        let large = format!("X-Filler: {}", "f".repeat(20_000));
        assert!(ask("/live", &large).ends_with(&format!("431 HTTP/{version}")));
        let many: Vec<_> = (0..300).map(|_| url(&shim, "/live")).collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        let answers = curl(&files.certificate(), &many[1..], many[0]).success();
        assert_eq!(answers.matches("200 HTTP/2").count(), 300, "on one connection");
    }
    let requests = "import requests, sys
answer = requests.get(sys.argv[1], headers={'X-Api-Key': sys.argv[2]}, verify=sys.argv[3], timeout=20)
print(answer.text)";
    let mut python = program("python3", &["-c", requests, &url(&shim, "/api/user/keytest/"), &key]);
    assert_eq!(run(python.arg(files.certificate())).success(), body);

    let address = shim.address.to_string();
    for (version, alpn, expected) in [
        ("-tls1_3", "h2,http/1.1", "ALPN protocol: h2"),
        ("-tls1_2", "http/1.1", "ALPN protocol: http/1.1"),
        ("-tls1_2", "gopher", "no application protocol"),
        // The shim's own refusal: at its usual level, a newer OpenSSL would not even offer it.
        ("-tls1_1", "h2", "SSL alert number"),
    ] {
        let level = ["-cipher", "DEFAULT@SECLEVEL=0"];
        let arguments =
            ["s_client", "-connect", &address, "-alpn", alpn, version, level[0], level[1]];
        let output = run(&mut program("openssl", &arguments));
        let said = output.stdout + &output.stderr;
        assert!(said.contains(expected), "{version} {alpn}: {said}");
    }
    // Who speaks no TLS is hung up on, and it does nobody else any harm.
    assert_ne!(curl(&files.certificate(), &[], &shim.url("/live")).code, Some(0));
    assert!(curl(&files.certificate(), &[], &url(&shim, "/live")).success().contains("200"));
}

#[test]
fn a_new_certificate_is_taken_at_sighup_and_a_broken_one_is_not() {
    let mut database = Database::new();
    let files = Certificate::new();
    let shim = start(&files, &mut database, &[]);
    let first = fingerprint(&shim);
    assert_eq!(first, fingerprint(&shim));

    files.renew();
    assert_eq!(first, fingerprint(&shim), "nobody has said that it should be read");
    shim.signal("HUP");
    eventually("the new one is shown", || fingerprint(&shim) != first);
    let second = fingerprint(&shim);

    // The key of another certificate, then no key, then no file.
    let certificate = fs::read(files.certificate()).unwrap();
    files.renew();
    fs::write(files.certificate(), certificate).unwrap();
    let broken: [&dyn Fn(); 3] = [
        &|| {},
        &|| fs::write(files.key(), "-----BEGIN PRIVATE KEY-----\nnonsense").unwrap(),
        &|| fs::remove_file(files.key()).unwrap(),
    ];
    for (count, break_it) in broken.iter().enumerate() {
        break_it();
        shim.signal("HUP");
        let said = || shim.log().matches("the certificate stays as it was").count();
        eventually("the log says so", || said() == count + 1);
        assert_eq!(fingerprint(&shim), second);
    }
    assert!(shim.log().contains("server.key"), "{}", shim.log());
}

/// Without TLS, the signal does nothing; it would end a program that does not know it.
#[test]
fn sighup_without_a_certificate() {
    let mut database = Database::new();
    let shim = Shim::start(&mut database, &[]);
    shim.signal("HUP");
    eventually("the log says so", || shim.log().contains("no certificate to reload"));
    assert_eq!(shim.get("/live", &[]).status(), 200);
}

#[test]
fn silent_clients_of_each_protocol_are_sent_away() {
    let mut database = Database::new();
    let files = Certificate::new();
    let shim = start(&files, &mut database, &["--header-timeout", "500ms"]);
    let address = shim.address.to_string();
    // It ends when we hang up: in the handshake, and then with either protocol.
    let silent = shim.connect();
    std::io::Read::read_to_end(&mut &silent, &mut Vec::new()).unwrap();
    for alpn in ["h2", "http/1.1"] {
        let script =
            "timeout 10 openssl s_client -quiet -alpn \"$1\" -connect \"$0\" < <(sleep 12)";
        let output = run(&mut program("bash", &["-c", script, &address, alpn]));
        assert_ne!(output.code, Some(124), "{alpn}: still there after ten seconds");
    }
    assert!(curl(&files.certificate(), &[], &url(&shim, "/live")).success().contains("200"));
}

#[test]
fn files_that_cannot_be_used_are_named_at_the_start() {
    let files = Certificate::new();
    let database = ["--database", "host=127.0.0.1 user=u dbname=d"];
    let [certificate_flag, certificate, key_flag, key] = files.flags();
    for (flags, named) in [
        ([&*certificate_flag, &*certificate].to_vec(), "--tls-key"),
        ([&*key_flag, &*key].to_vec(), "--tls-certificate"),
        ([&*certificate_flag, "/nonexistent.crt", &*key_flag, &*key].to_vec(), "/nonexistent.crt"),
        ([&*certificate_flag, &*key, &*key_flag, &*key].to_vec(), "no certificate"),
        ([&*certificate_flag, &*certificate, &*key_flag, &*certificate].to_vec(), "server.crt"),
    ] {
        let output = short_run(&[&database[..], &flags].concat(), &[]);
        assert_eq!(output.code, Some(64), "{}", output.stderr);
        assert!(output.stderr.contains(named), "{named}: {}", output.stderr);
    }
}
