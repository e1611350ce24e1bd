//! Keys of several tenants behind one shim: each is valid under its own host, or for its own shim.

use apikey_tests::{Answer, Database, Login, Shim, one, program, run, short_run};

const PATH: &str = "/api/user/keytest/";
const BY_HOST: [&str; 4] = [
    "--tenant-by-host",
    "*.example.org=*, tickets.other.example=The Other",
    "--tenant-by-host",
    "www.example.org=venue,[::1]=venue",
];

/// A key of each of two tenants, and one that has none.
struct Keys {
    venue: String,
    other: String,
    none: String,
}

impl Keys {
    fn of(database: &Database) -> Self {
        Self {
            venue: database.key("'event', tenant => 'venue'"),
            other: database.key("'event', tenant => 'The Other'"),
            none: database.key("'event'"),
        }
    }
}

/// A request of these lines and no others.
fn send(shim: &Shim, request_line: &str, header_lines: &[&str], key: &str) -> Answer {
    let lines: String = header_lines.iter().map(|line| format!("{line}\r\n")).collect();
    let head = format!(
        "{request_line}\r\n{lines}Authorization: Api-Key {key}\r\nConnection: close\r\n\r\n"
    );
    shim.send(head.as_bytes())
}

fn get(shim: &Shim, header_lines: &[&str], key: &str) -> Answer {
    send(shim, &format!("GET {PATH} HTTP/1.1"), header_lines, key)
}

fn status(shim: &Shim, host: &str, key: &str) -> u16 {
    get(shim, &[&format!("Host: {host}")], key).status()
}

#[test]
fn a_key_is_valid_under_its_own_host_only() {
    let mut database = Database::new();
    let keys = Keys::of(&database);
    let shim = Shim::start(&mut database, &BY_HOST);
    for (host, tenant) in [
        ("venue.example.org", "venue"),
        ("VENUE.Example.Org", "venue"),
        ("venue.example.org:8080", "venue"),
        ("venue.example.org.", "venue"),
        ("venue.example.org.:8080", "venue"),
        ("www.example.org", "venue"), // by its own entry, and not "www" by the pattern
        ("[::1]", "venue"),
        ("[0:0::1]:8080", "venue"),
        ("tickets.other.example", "The Other"),
        ("third.example.org", "third"),
    ] {
        let expected = |of: &str| if of == tenant { 200 } else { 401 };
        assert_eq!(status(&shim, host, &keys.venue), expected("venue"), "{host}");
        assert_eq!(status(&shim, host, &keys.other), expected("The Other"), "{host}");
        assert_eq!(status(&shim, host, &keys.none), 401, "{host}");
    }
    let answer = get(&shim, &["Host: venue.example.org"], &keys.venue);
    assert_eq!(answer.body, r#"{"auth":"event","ip_request":"127.0.0.1","ip_valid":true}"#);
}

#[test]
fn a_forged_host_is_refused_like_everything_else() {
    let mut database = Database::new();
    let Keys { venue: key, .. } = Keys::of(&database);
    let shim = Shim::start(&mut database, &BY_HOST);
    let refusal = get(&shim, &["Host: venue.example.org"], "no.key");
    refusal.assert_problem(401);
    for lines in [
        &["Host: stranger.test"][..],
        &["Host: 127.0.0.1"],
        &["Host: example.org"],
        &["Host: other.example"],
        &["Host: a.venue.example.org"],
        &["Host: venue.example.org.stranger.test"],
        &["Host: venue.example.org.."],
        &["Host: venueexample.org"],
        &["Host: venue_.example.org"],
        &["Host: .example.org"],
        &["Host: *.example.org"],
        &["Host: venue"],
        &["Host: "],
        &["Host: ven%75e.example.org"],
        &["Host: venue.example.org,venue.example.org"],
        &["Host: stranger.test", "X-Forwarded-Host: venue.example.org"],
        &["Host: stranger.test", "Forwarded: host=venue.example.org"],
        &["Host: stranger.test", "X-Host: venue.example.org", "X-Tenant: venue"],
    ] {
        assert_eq!(get(&shim, lines, &key), refusal, "{lines:?}");
    }
    // What names no host, or more than one, is no request (RFC 9112, 3.2).
    for lines in [
        &["Host: x@venue.example.org"][..],
        &["Host: venue.example.org:http"],
        &["Host: venue.example.org, venue.example.org"],
        &["Host: venue.example.org", "Host: venue.example.org"],
        &["Host: venue.example.org", "Host: other.example.org"],
        &["Host: é.example.org"],
        &["Host: ::1"],
        &["X-Forwarded-Host: venue.example.org"],
        &[],
    ] {
        get(&shim, lines, &key).assert_problem(400);
    }
    let forged = ["Host: venue.example.org", "X-Forwarded-Host: stranger.test"];
    assert_eq!(get(&shim, &forged, &key).status(), 200);
}

/// RFC 9112, 3.2.2: the request target outranks `Host`.
#[test]
fn absolute_targets_and_old_versions() {
    let mut database = Database::new();
    let Keys { venue: key, other, .. } = Keys::of(&database);
    let shim = Shim::start(&mut database, &BY_HOST);
    let refusal = get(&shim, &["Host: venue.example.org"], "no.key");
    let venue = ["Host: venue.example.org"];
    for (line, lines, expected) in [
        ("GET http://venue.example.org/api/user/keytest/ HTTP/1.1", &["Host: "][..], true),
        ("GET http://Venue.Example.org.:80/api/user/keytest/ HTTP/1.1", &["Host: other"], true),
        ("GET http://stranger.test/api/user/keytest/ HTTP/1.1", &venue, false),
        ("GET /api/user/keytest/ HTTP/1.0", &venue, true),
        ("GET http://venue.example.org/api/user/keytest/ HTTP/1.0", &[], true),
    ] {
        let answer = send(&shim, line, lines, &key);
        assert_eq!(answer.status(), if expected { 200 } else { 401 }, "{line} {lines:?}");
        assert!(expected || answer == refusal, "{line} {lines:?}");
        assert_eq!(send(&shim, line, lines, &other).status(), 401, "{line} {lines:?}");
    }
    for line in [
        "GET http://stranger@venue.example.org/api/user/keytest/ HTTP/1.1",
        "GET http://venue.example.org@stranger.test/api/user/keytest/ HTTP/1.1",
    ] {
        send(&shim, line, &venue, &key).assert_problem(400);
    }
    // The same but for the protocol's version, with which hyper answers.
    let old = send(&shim, &format!("GET {PATH} HTTP/1.0"), &[], &key);
    assert_eq!((old.status(), &old.body), (401, &refusal.body));
    // Paths that look like a host are paths.
    send(&shim, "GET //venue.example.org/api/user/keytest/ HTTP/1.1", &venue, &key)
        .assert_problem(404);
}

/// As a client of the tenant sends it: by the host of the URL, and through a forward proxy.
#[test]
fn curl_names_the_host_by_itself() {
    let mut database = Database::new();
    let keys = Keys::of(&database);
    let shim = Shim::start(&mut database, &BY_HOST);
    let (port, proxy) = (shim.address.port(), shim.url(""));
    let to = format!("::127.0.0.1:{port}");
    let ask = |host: &str, key: &str| {
        let header = format!("Authorization: Api-Key {key}");
        let direct = format!("http://{host}:{port}{PATH}");
        let proxied = format!("http://{host}{PATH}");
        [vec!["--connect-to", &to, &direct], vec!["--proxy", &proxy, &proxied]].map(|route| {
            let arguments = ["-s", "-o", "/dev/null", "-w", "%{http_code}", "-H", &header];
            run(program("curl", &arguments).args(route)).success()
        })
    };
    assert_eq!(ask("venue.example.org", &keys.venue), ["200", "200"]);
    assert_eq!(ask("venue.example.org", &keys.other), ["401", "401"]);
    assert_eq!(ask("stranger.test", &keys.venue), ["401", "401"]);
}

#[test]
fn one_tenant_for_every_host() {
    let mut database = Database::new();
    let keys = Keys::of(&database);
    let shim = Shim::start(&mut database, &["--tenant", "The Other"]);
    for host in ["tickets.other.example", "venue.example.org", "stranger.test"] {
        assert_eq!(status(&shim, host, &keys.other), 200, "{host}");
        assert_eq!(status(&shim, host, &keys.venue), 401, "{host}");
        assert_eq!(status(&shim, host, &keys.none), 401, "{host}");
    }
    assert_eq!(status(&shim, "", &keys.other), 200);
}

/// And empty settings, as a template leaves them, are none.
#[test]
fn without_a_setting_only_keys_without_a_tenant_are_valid() {
    let mut database = Database::new();
    let keys = Keys::of(&database);
    let checker = database.checker();
    let conninfo = database.conninfo(&checker);
    for flags in [&[][..], &["--tenant=", "--tenant-by-host="]] {
        let shim = Shim::start_as(&checker, &conninfo, flags);
        assert_eq!(status(&shim, "venue.example.org", &keys.none), 200);
        for key in [&keys.venue, &keys.other] {
            assert_eq!(status(&shim, "venue.example.org", key), 401);
        }
    }
}

/// Each function serves requests and `/ready` by itself, but for the one that knows no tenant where
/// there are tenants.
#[test]
fn one_function_is_enough() {
    let mut database = Database::new();
    let keys = Keys::of(&database);
    let login = database.login("asking", "");
    let conninfo = database.conninfo(&login);
    let mut client = database.superuser();
    client.batch_execute(&format!("GRANT USAGE ON SCHEMA apikey TO {}", login.role)).unwrap();
    let plain = "apikey_check(text, inet)";
    for (flags, key) in
        [(&[][..], &keys.none), (&["--tenant", "venue"], &keys.venue), (&BY_HOST, &keys.venue)]
    {
        let shim = Shim::start_as(&login, &conninfo, flags);
        for function in ["apikey.check_key", "apikey_check(text, inet, text)", plain] {
            let mut allow = |verb, preposition| {
                let role = &login.role;
                let sql = format!("{verb} EXECUTE ON FUNCTION {function} {preposition} {role}");
                client.batch_execute(&sql).unwrap();
            };
            allow("GRANT", "TO");
            if function == plain && !flags.is_empty() {
                get(&shim, &["Host: venue.example.org"], key).assert_problem(503);
                shim.get("/ready", &[]).assert_problem(503);
            } else {
                assert_eq!(status(&shim, "venue.example.org", key), 200, "{flags:?}, {function}");
                assert_eq!(shim.get("/ready", &[]).status(), 200, "from any host: {flags:?}");
            }
            allow("REVOKE", "FROM");
            get(&shim, &["Host: venue.example.org"], key).assert_problem(503);
            shim.get("/ready", &[]).assert_problem(503);
        }
    }
}

#[test]
fn an_unknown_host_is_refused_without_the_database() {
    let nobody = Login { role: "nobody".to_owned(), password: "none".to_owned() };
    let shim = Shim::start_as(&nobody, "host=127.0.0.1 port=1 user=nobody dbname=none", &BY_HOST);
    let key = apikey_tests::PUBLISHED_KEY;
    get(&shim, &["Host: stranger.test"], key).assert_problem(401);
    get(&shim, &["Host: venue.example.org"], key).assert_problem(503);
}

/// It goes into the statement as a parameter, whatever it is.
#[test]
fn a_tenant_is_no_sql() {
    let mut database = Database::new();
    let name = "O'Hara; DROP TABLE apikey.key; -- é";
    let quoted = name.replace('\'', "''");
    let key = database.key(&format!("'event', tenant => '{quoted}'"));
    let shim = Shim::start(&mut database, &["--tenant", name]);
    assert_eq!(status(&shim, "test", &key), 200);
    assert_eq!(one(&mut database.superuser(), "SELECT count(*) FROM apikey.key").unwrap(), "1");
}

#[test]
fn wrong_settings() {
    const DATABASE: [&str; 2] = ["--database", "postgresql://u@127.0.0.1:1/d"];
    for (flag, variable, value) in [
        ("--tenant", "APIKEY_TENANT", " venue"),
        ("--tenant", "APIKEY_TENANT", "ven\nue"),
        ("--tenant", "APIKEY_TENANT", &"v".repeat(201)),
        ("--tenant-by-host", "APIKEY_TENANT_BY_HOST", "venue.example.org"),
        ("--tenant-by-host", "APIKEY_TENANT_BY_HOST", "venue.example.org="),
        ("--tenant-by-host", "APIKEY_TENANT_BY_HOST", "venue.example.org=*"),
        ("--tenant-by-host", "APIKEY_TENANT_BY_HOST", "venue.example.org:80=venue"),
        ("--tenant-by-host", "APIKEY_TENANT_BY_HOST", "http://venue.example.org=venue"),
        ("--tenant-by-host", "APIKEY_TENANT_BY_HOST", "*.example.org=venue"),
        ("--tenant-by-host", "APIKEY_TENANT_BY_HOST", "*=*"),
        ("--tenant-by-host", "APIKEY_TENANT_BY_HOST", "*.*.example.org=*"),
        ("--tenant-by-host", "APIKEY_TENANT_BY_HOST", "a.example=a,b.example=b,A.example.=c"),
    ] {
        let assigned = format!("{flag}={value}");
        let by_flag = [&DATABASE[..], &[&*assigned]].concat();
        for output in [short_run(&by_flag, &[]), short_run(&DATABASE, &[(variable, value)])] {
            assert_eq!(output.code, Some(64), "{assigned}: {}", output.stderr);
            assert!(output.stderr.contains(&format!("{flag} ({variable}): ")), "{}", output.stderr);
            assert!(output.stdout.is_empty(), "it listened: {}", output.stdout);
        }
    }
    let both = short_run(
        &[&DATABASE[..], &["--tenant", "venue"]].concat(),
        &[("APIKEY_TENANT_BY_HOST", "*.example.org=*")],
    );
    assert_eq!(both.code, Some(64), "{}", both.stderr);
    for flag in ["--tenant ", "--tenant-by-host "] {
        assert!(both.stderr.contains(flag), "{}", both.stderr);
    }
}
