//! Whose address a request comes from.

use apikey_tests::{Database, Shim};

fn ip_request(shim: &Shim, key: &str, forwarded: &[&str]) -> String {
    let lines: Vec<_> = forwarded.iter().map(|value| format!("X-Forwarded-For: {value}")).collect();
    ip_request_of(shim, key, &lines)
}

fn ip_request_of(shim: &Shim, key: &str, lines: &[String]) -> String {
    let key = format!("X-Api-Key: {key}");
    let all: Vec<_> = std::iter::once(&*key).chain(lines.iter().map(String::as_str)).collect();
    let answer = shim.get("/api/user/keytest/", &all);
    assert_eq!(answer.status(), 200, "{}", answer.head);
    let shown = answer.body.split("\"ip_request\":").nth(1).and_then(|rest| rest.split(',').next());
    shown.unwrap().trim_matches('"').to_owned()
}

#[test]
fn without_a_trusted_proxy_the_header_is_not_read() {
    let mut database = Database::new();
    let key = database.key("'event', '203.0.113.9'");
    let shim = Shim::start(&mut database, &["--trusted-proxy", "10.0.0.0/8"]);
    for forged in [&["203.0.113.9"][..], &["203.0.113.9, 10.0.0.1"], &["garbage"], &[]] {
        assert_eq!(ip_request(&shim, &key, forged), "127.0.0.1", "{forged:?}");
    }
    let line = format!("X-Api-Key: {key}");
    let answer = shim.get(
        "/api/user/keytest/",
        &[
            &line,
            "X-Forwarded-For: 203.0.113.9",
            "X-Real-IP: 203.0.113.9",
            "Forwarded: for=203.0.113.9",
            "Client-IP: 203.0.113.9",
            "True-Client-IP: 203.0.113.9",
        ],
    );
    assert!(
        answer.body.ends_with(r#""ip_request":"127.0.0.1","ip_valid":false}"#),
        "{}",
        answer.body
    );
}

#[test]
fn a_trusted_proxy_is_believed_from_the_right() {
    let mut database = Database::new();
    let key = database.key("'event'");
    let shim = Shim::start(
        &mut database,
        &["--trusted-proxy", "127.0.0.1,10.0.0.0/8", "--trusted-proxy", "2001:db8:ffff::/48"],
    );
    for (forwarded, expected) in [
        (&["203.0.113.9"][..], "203.0.113.9"),
        (&["203.0.113.9, 10.1.2.3"], "203.0.113.9"),
        (&["6.6.6.6, 203.0.113.9, 10.1.2.3, 10.4.5.6"], "203.0.113.9"),
        (&["6.6.6.6", "203.0.113.9", "10.1.2.3"], "203.0.113.9"),
        (&["6.6.6.6, 203.0.113.9", "10.1.2.3"], "203.0.113.9"),
        (&["10.9.9.9, 10.1.2.3"], "10.9.9.9"),
        (&["203.0.113.9:4711"], "203.0.113.9"),
        (&["2001:db8::7"], "2001:db8::7"),
        (&["[2001:db8::7]"], "2001:db8::7"),
        (&["[2001:db8::7]:4711, [2001:db8:ffff::1]:80"], "2001:db8::7"),
        (&["::ffff:203.0.113.9"], "203.0.113.9"),
        (&["  203.0.113.9\t,  10.1.2.3 "], "203.0.113.9"),
        // Nobody is named, or what is named where the walk ends is no address: unknown.
        (&[], "null"),
        (&[""], "null"),
        (&["unknown"], "null"),
        (&["203.0.113.9, garbage"], "null"),
        (&["203.0.113.9, garbage, 10.1.2.3"], "null"),
        (&["203.0.113.9,"], "null"),
        (&["203.0.113.9/32"], "null"),
        (&["203.0.113.256"], "null"),
        (&["203.0.113.9:port"], "null"),
        (&["[2001:db8::7"], "null"),
        (&["garbage, 203.0.113.9"], "203.0.113.9"),
    ] {
        assert_eq!(ip_request(&shim, &key, forwarded), expected, "{forwarded:?}");
    }
}

#[test]
fn forwarded_is_believed_where_it_is_set() {
    let mut database = Database::new();
    let key = database.key("'event'");
    let shim = Shim::start(
        &mut database,
        &["--trusted-proxy", "127.0.0.1,10.0.0.0/8,fd00::/8", "--forwarded-header", "forwarded"],
    );
    for (forwarded, expected) in [
        (&["for=203.0.113.9"][..], "203.0.113.9"),
        (&["For=\"203.0.113.9:4711\";proto=https;by=_edge"], "203.0.113.9"),
        (&["for=\"[2001:db8::7]\", for=\"[fd00::1]:80\""], "2001:db8::7"),
        (&["for=6.6.6.6, for=203.0.113.9, for=10.1.2.3"], "203.0.113.9"),
        (&["for=6.6.6.6", "for=203.0.113.9", "for=10.1.2.3"], "203.0.113.9"),
        (&["for=\"6.6.6.6, for=203.0.113.9"], "203.0.113.9"),
        (&["for=6.6.6.6;x=\", for=203.0.113.9;by=\"_x\""], "203.0.113.9"),
        (&["for=10.9.9.9, for=10.1.2.3"], "10.9.9.9"),
        // Nobody is named: unknown.
        (&[], "null"),
        (&[""], "null"),
        (&["203.0.113.9"], "null"),
        (&["for=unknown"], "null"),
        (&["for=_hidden, for=10.1.2.3"], "null"),
        (&["proto=https"], "null"),
        (&["for=203.0.113.9;for=10.1.2.3"], "null"),
        (&["for=203.0.113.9;host=\"a"], "null"),
    ] {
        // And the other header means nothing.
        let others = ["X-Forwarded-For: 6.6.6.6".to_owned(), "X-Forwarded: for=6.6.6.6".to_owned()];
        let lines: Vec<_> = forwarded.iter().map(|value| format!("Forwarded: {value}")).collect();
        let all = [&lines[..], &others].concat();
        assert_eq!(ip_request_of(&shim, &key, &all), expected, "{forwarded:?}");
    }
}

/// A proxy that writes X-Forwarded-For passes a client's own Forwarded on, and any other header.
#[test]
fn only_the_exact_name_counts() {
    let mut database = Database::new();
    let key = database.key("'event'");
    let shim = Shim::start(&mut database, &["--trusted-proxy", "127.0.0.1"]);
    let forged = [
        "Forwarded: for=6.6.6.6",
        "X-Forwarded: 6.6.6.6",
        "X-Forwarded-By: 6.6.6.6",
        "X_Forwarded_For: 6.6.6.6",
        "X-Forwarded-For-: 6.6.6.6",
        "X-Forwarded-Fo: 6.6.6.6",
        "X-Real-IP: 6.6.6.6",
        "Forwarded-For: 6.6.6.6",
        "Cf-Connecting-Ip: 6.6.6.6",
    ]
    .map(str::to_owned);
    assert_eq!(ip_request_of(&shim, &key, &forged), "null");
    let named = [&forged[..], &["x-FORWARDED-for: 203.0.113.9".to_owned()]].concat();
    assert_eq!(ip_request_of(&shim, &key, &named), "203.0.113.9");
}

#[test]
fn rules_are_asked_about_the_forwarded_address() {
    let mut database = Database::new();
    let (named, any) = (database.key("'event', '203.0.113.9'"), database.key("'event'"));
    let shim = Shim::start(&mut database, &["--trusted-proxy", "127.0.0.1"]);
    let valid = |key: &str, from: &str| {
        let lines = [format!("X-Api-Key: {key}"), format!("X-Forwarded-For: {from}")];
        shim.get("/api/user/keytest/", &[&lines[0], &lines[1]])
            .body
            .ends_with(r#""ip_valid":true}"#)
    };
    assert!(valid(&named, "203.0.113.9"));
    assert!(!valid(&named, "203.0.113.9, 6.6.6.6"), "the client cannot say it for itself");
    assert!(!valid(&named, "unknown"));
    assert!(valid(&any, "unknown"));
}

/// A listener on both families shows IPv4 clients as mapped addresses.
#[test]
fn a_mapped_peer_is_the_ipv4_address() {
    let mut database = Database::new();
    let key = database.key("'event', '127.0.0.1'");
    let shim = Shim::start(&mut database, &["--listen", "[::ffff:127.0.0.1]:0"]);
    let port = shim.address.port();
    let url = format!("http://127.0.0.1:{port}/api/user/keytest/");
    let header = format!("X-Api-Key: {key}");
    let output =
        apikey_tests::run(&mut apikey_tests::program("curl", &["-sS", "-H", &header, &url]));
    assert_eq!(output.success(), r#"{"auth":"event","ip_request":"127.0.0.1","ip_valid":true}"#);
}
