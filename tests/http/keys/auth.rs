//! `/auth`: the decision that proxies ask for before they pass a request on.

use apikey_tests::{
    Answer, Cluster, Database, PUBLISHED_KEY, Shim, one, program, run, wrong_secret,
};

const IDENTITY: [&str; 5] =
    ["x-apikey-prefix", "x-apikey-name", "x-apikey-owner", "x-apikey-auth", "x-apikey-tenant"];
const BEHIND_A_PROXY: [&str; 2] = ["--trusted-proxy", "127.0.0.1"];

fn auth(shim: &Shim, path: &str, key: &str, header_lines: &[&str]) -> Answer {
    let key = format!("Authorization: Api-Key {key}");
    shim.get(path, &[&[&*key], header_lines].concat())
}

fn identity(answer: &Answer) -> [Option<&str>; 5] {
    IDENTITY.map(|name| answer.header(name))
}

#[track_caller]
fn assert_refused(answer: &Answer, status: u16) {
    answer.assert_problem(status);
    assert_eq!(answer.header("www-authenticate").is_some(), status == 401, "{}", answer.head);
    assert_eq!(identity(answer), [None; 5]);
}

#[test]
fn a_good_key_passes_and_says_whose_it_is() {
    let mut database = Database::new();
    let key = one(
        &mut database.superuser(),
        "SELECT apikey_create('box office', '[\"event\",\"ticket\"]'::jsonb, owner => 'ada@example.org')",
    )
    .unwrap();
    let shim = Shim::start_for_auth(&mut database, &[]);
    let pass = auth(&shim, "/auth", &key, &[]);
    assert_eq!((pass.status(), &*pass.body), (200, ""), "{}", pass.head);
    assert_eq!(
        identity(&pass),
        [
            Some(&key[..8]),
            Some("box%20office"),
            Some("ada@example.org"),
            Some("[\"event\", \"ticket\"]"),
            Some("")
        ]
    );
    assert_eq!(pass.header("cache-control"), Some("no-store"));
    assert_eq!(pass.header("content-length"), Some("0"));
    for line in [format!("Authorization: Bearer {key}"), format!("X-Api-Key: {key}")] {
        assert_eq!(shim.get("/auth", &[&line]), pass, "{line}");
        let head = shim.request("HEAD", "/auth", &[&line]);
        assert_eq!((head.status(), identity(&head)), (200, identity(&pass)), "{line}");
        assert_eq!(shim.get("/auth?scope=ticket", &[&line]), pass, "{line}");
    }
}

#[test]
fn without_a_valid_key_it_is_the_401_of_every_refusal() {
    let mut database = Database::new();
    let key = database.key("'event', '192.0.2.1'");
    let revoked = database.key("'event'");
    one(&mut database.superuser(), &format!("SELECT apikey_revoke('{revoked}')"));
    let shim = Shim::start_for_auth(&mut database, &[]);
    let refusal = shim.get("/auth", &[]);
    assert_refused(&refusal, 401);
    assert_eq!(refusal, shim.ask(PUBLISHED_KEY));
    for wrong in [PUBLISHED_KEY, "no.key", &wrong_secret(&key), &key[..40], &revoked] {
        for path in ["/auth", "/auth?scope=event", "/auth?scope=none", "/auth?scope=%00"] {
            assert_eq!(auth(&shim, path, wrong, &[]), refusal, "{wrong} {path}");
        }
    }
    assert_eq!(shim.get(&format!("/auth?api_key={key}&key={key}"), &[]), refusal);
}

#[test]
fn a_wrong_address_is_a_403() {
    let mut database = Database::new();
    let key = database.key("'event', '192.0.2.1'");
    let shim = Shim::start_for_auth(&mut database, &BEHIND_A_PROXY);
    let from =
        |addresses: &str| auth(&shim, "/auth", &key, &[&format!("X-Forwarded-For: {addresses}")]);
    assert_eq!(from("192.0.2.1").status(), 200);
    assert_refused(&from("192.0.2.2"), 403);
    assert_refused(&from("192.0.2.1, 192.0.2.2"), 403);
    assert_refused(&from("unknown"), 403);
    assert_refused(&auth(&shim, "/auth", &key, &[]), 403);
}

#[test]
fn a_scope_can_only_narrow() {
    let mut database = Database::new();
    let key = database.key("'{\"sale.read\":true,\"sale.write\":false}'::jsonb");
    let shim = Shim::start_for_auth(&mut database, &[]);
    for (path, lines) in [
        ("/auth", &[][..]),
        ("/auth?scope=sale.read", &[]),
        ("/auth?scope=sale%2Eread", &[]),
        ("/auth", &["X-Apikey-Scope: sale.read"]),
        ("/auth?scope=sale.read", &["X-Apikey-Scope: sale.read"]),
    ] {
        assert_eq!(auth(&shim, path, &key, lines).status(), 200, "{path} {lines:?}");
    }
    for (path, lines) in [
        ("/auth?scope=sale.write", &[][..]),
        ("/auth?scope=sale", &[]),
        ("/auth?scope=", &[]),
        ("/auth?scope", &[]),
        ("/auth?scope=%00", &[]),
        ("/auth?scope=%FF", &[]),
        ("/auth?scope=sale.read,sale.write", &[]),
        ("/auth?scope=sale.write&scope=sale.read", &[]),
        ("/auth", &["X-Apikey-Scope: sale.write"]),
        ("/auth", &["X-Apikey-Scope:"]),
        ("/auth", &["X-Apikey-Scope: sale.write", "X-Apikey-Scope: sale.read"]),
        ("/auth?scope=sale.read", &["X-Apikey-Scope: sale.write"]),
        ("/auth?scope=sale.write", &["X-Apikey-Scope: sale.read"]),
    ] {
        assert_refused(&auth(&shim, path, &key, lines), 403);
    }
}

/// Whatever a DBA types, a client of standard tools reads the same from one line of the header.
#[test]
fn any_name_is_safe_in_a_header() {
    let mut database = Database::new();
    let shim = Shim::start_for_auth(&mut database, &["--tenant", "Caf\u{e9}, \"upstairs\""]);
    let names = [
        "a\r\nX-Apikey-Owner: mallory\r\n\r\n",
        "tab\tbell\u{7}escape\u{1b}delete\u{7f}",
        " blanks at both ends ",
        "100%, 20%20 + a; b=\"c\\d\"",
        "caf\u{e9} \u{1f3ab} \u{202e}txt",
        &"\u{10ffff}".repeat(200),
    ];
    for name in names {
        let mut client = database.superuser();
        let row = client
            .query_one(
                "SELECT apikey_create($1, 'event', owner => $2, tenant => 'Caf\u{e9}, \"upstairs\"')",
                &[&name, &name.chars().rev().collect::<String>()],
            )
            .unwrap();
        let pass = auth(&shim, "/auth", row.get(0), &[]);
        assert_eq!(pass.status(), 200, "{}", pass.head);
        assert!(pass.head.is_ascii());
        let [_, shown, owner, _, tenant] = identity(&pass).map(Option::unwrap);
        for word in [shown, owner, tenant] {
            let inert = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~@%".contains(&byte);
            assert!(word.bytes().all(inert), "{word}");
        }
        // By a decoder that is not ours.
        let script =
            "import sys, urllib.parse as u\nprint(*map(ascii, map(u.unquote, sys.argv[1:])))";
        let decoded = run(&mut program("/usr/bin/python3", &["-c", script, shown, owner, tenant]));
        let script = "import sys\nprint(*map(ascii, sys.argv[1:]))";
        let reversed: String = name.chars().rev().collect();
        let typed = ["-c", script, name, &reversed, "Caf\u{e9}, \"upstairs\""];
        assert_eq!(decoded.success(), run(&mut program("/usr/bin/python3", &typed)).success());
    }
}

/// A 2xx to a browser's OPTIONS would let that pass without a key.
#[test]
fn other_methods_never_pass() {
    let mut database = Database::new();
    let key = database.key("'event'");
    let shim = Shim::start_for_auth(&mut database, &["--cors-origin", "https://shop.example"]);
    let lines = [
        &format!("X-Api-Key: {key}"),
        "Origin: https://shop.example",
        "Access-Control-Request-Method: GET",
    ];
    for method in ["OPTIONS", "POST", "PUT", "DELETE", "BREW"] {
        shim.request(method, "/auth", &lines).assert_problem(405);
    }
    for path in ["/auth/", "/auth/x", "/AUTH", "//auth"] {
        shim.get(path, &lines).assert_problem(404);
    }
}

#[test]
fn a_key_passes_in_its_own_tenant_alone() {
    let mut database = Database::new();
    let key = database.key("'event', tenant => 'venue'");
    let none = database.key("'event'");
    let by_host = ["--tenant-by-host", "*.example.org=*"];
    let shim = Shim::start_for_auth(&mut database, &by_host);
    let status = |host: &str, key: &str| {
        let request = format!(
            "GET /auth HTTP/1.1\r\nHost: {host}\r\nX-Api-Key: {key}\r\nConnection: close\r\n\r\n"
        );
        let answer = shim.send(request.as_bytes());
        (answer.status(), answer.header("x-apikey-tenant").map(str::to_owned))
    };
    assert_eq!(status("venue.example.org", &key), (200, Some("venue".to_owned())));
    for (host, key) in
        [("other.example.org", &key), ("stranger.test", &key), ("venue.example.org", &none)]
    {
        assert_eq!(status(host, key), (401, None), "{host}");
    }
}

#[test]
fn a_revocation_holds_on_the_next_request() {
    let mut database = Database::new();
    let key = database.key("'event'");
    let shim = Shim::start_for_auth(&mut database, &["--pool-size", "1"]);
    assert_eq!(auth(&shim, "/auth", &key, &[]).status(), 200);
    database.superuser().batch_execute("UPDATE apikey.key SET revoked_at = now()").unwrap();
    assert_refused(&auth(&shim, "/auth", &key, &[]), 401);
}

#[test]
fn without_the_database_it_is_a_503() {
    let mut database = Database::in_cluster(Cluster::private(&[]));
    let key = database.key("'event'");
    let shim = Shim::start_for_auth(&mut database, &["--request-timeout", "2s"]);
    assert_eq!(auth(&shim, "/auth", &key, &[]).status(), 200);
    database.cluster.stop();
    let away = auth(&shim, "/auth", &key, &[]);
    assert_refused(&away, 503);
    assert!(away.header("retry-after").is_some());
    assert_refused(&auth(&shim, "/auth", "", &[]), 401);
    database.cluster.start();
    apikey_tests::eventually("it passes again", || auth(&shim, "/auth", &key, &[]).status() == 200);
}

/// A role that may check and not authorize: each question stands on its own.
#[test]
fn without_the_right_to_authorize_keys_can_still_be_tested() {
    let mut database = Database::new();
    let key = database.key("'event'");
    let shim = Shim::start(&mut database, &[]);
    assert_refused(&auth(&shim, "/auth", &key, &[]), 503);
    assert!(shim.log().contains("may not execute apikey.authorize_key"), "{}", shim.log());
    assert_eq!(shim.ask(&key).status(), 200);
}
