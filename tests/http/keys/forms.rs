//! The ways to ask that are answered, and what they are answered with.

use apikey_tests::{Database, Shim};

const PATHS: [&str; 4] = [
    "/api/user/keytest",
    "/api/user/keytest/",
    "/admin/api/user/keytest",
    "/admin/api/user/keytest/",
];

#[test]
fn paths_methods_and_header_forms() {
    let mut database = Database::new();
    let key = database.key("'{\"event\":true,\"ticket\":false}'::jsonb");
    let shim = Shim::start(&mut database, &[]);
    let body = r#"{"auth":{"event":true,"ticket":false},"ip_request":"127.0.0.1","ip_valid":true}"#;
    for path in PATHS {
        for line in [
            format!("Authorization: Api-Key {key}"),
            format!("authorization: api-key {key}"),
            format!("AUTHORIZATION: API-KEY {key}"),
            format!("Authorization: Bearer {key}"),
            format!("X-Api-Key: {key}"),
        ] {
            let get = shim.get(path, &[&line]);
            assert_eq!((get.status(), &*get.body), (200, body), "{path} {line}");
            assert_eq!(get.header("content-type"), Some("application/json"));
            assert_eq!(get.header("cache-control"), Some("no-store"));
            assert_eq!(get.header("content-length"), Some(&*body.len().to_string()));
            let head = shim.request("HEAD", path, &[&line]);
            assert_eq!((head.head, head.body), (get.head, String::new()), "{path} {line}");
        }
    }
}

#[test]
fn a_valid_key_from_a_wrong_address_is_still_tested() {
    let mut database = Database::new();
    let key = database.key("'event', '192.0.2.1'");
    let shim = Shim::start(&mut database, &[]);
    let answer = shim.ask(&key);
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.body, r#"{"auth":"event","ip_request":"127.0.0.1","ip_valid":false}"#);
}

#[test]
fn a_revocation_holds_on_the_next_request_of_an_open_connection() {
    let mut database = Database::new();
    let key = database.key("'event'");
    let shim = Shim::start(&mut database, &["--pool-size", "1"]);
    assert_eq!(shim.ask(&key).status(), 200);
    database.superuser().batch_execute("UPDATE apikey.key SET revoked_at = now()").unwrap();
    assert_eq!(shim.ask(&key).status(), 401);
}

#[test]
fn other_methods_and_paths() {
    let mut database = Database::new();
    let shim = Shim::start(&mut database, &[]);
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"] {
        for path in PATHS.into_iter().chain(["/live", "/ready"]) {
            let answer = shim.request(method, path, &["Content-Length: 0"]);
            answer.assert_problem(405);
            assert_eq!(answer.header("allow"), Some("GET, HEAD, OPTIONS"), "{method} {path}");
        }
    }
    for path in ["/", "/api/user/keytest//", "/api/user/keytest/x", "/API/user/keytest/", "/admin/"]
    {
        shim.get(path, &[]).assert_problem(404);
        shim.request("POST", path, &["Content-Length: 0"]).assert_problem(404);
    }
}

#[test]
fn requests_with_a_body_and_several_on_one_connection() {
    let mut database = Database::new();
    let key = database.key("'event'");
    let shim = Shim::start(&mut database, &[]);
    let head = format!("GET /api/user/keytest/ HTTP/1.1\r\nHost: test\r\nX-Api-Key: {key}\r\n");
    let with_body = format!("{head}Content-Length: 4\r\n\r\nbody");
    let answer = shim.send(format!("{with_body}{with_body}{head}\r\n").as_bytes());
    let all = format!("{}{}", answer.head, answer.body);
    assert_eq!(all.matches("HTTP/1.1 200 OK").count(), 3, "{all}");
    assert_eq!(all.matches(r#""ip_valid":true}"#).count(), 3, "{all}");
}

#[test]
fn live_and_ready() {
    let mut database = Database::new();
    let shim = Shim::start(&mut database, &[]);
    for path in ["/live", "/ready"] {
        let answer = shim.get(path, &[]);
        assert_eq!(answer.status(), 200, "{path}");
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
    // The server is there, and the role may no longer ask. What to run is for whoever set it up,
    // and for nobody else.
    let mut client = database.superuser();
    let revoke = format!("DROP OWNED BY {}_checker", database.name);
    for (change, advice) in
        [(revoke.as_str(), "GRANT apikey_checker"), ("DROP EXTENSION apikey", "CREATE EXTENSION")]
    {
        client.batch_execute(change).unwrap();
        let answer = shim.get("/ready", &[]);
        answer.assert_problem(503);
        assert!(answer.body.contains(advice) && answer.body.contains("deploy/roles.sql"));
        apikey_tests::eventually("the log says it, too", || shim.log().contains(advice));
        let answer = shim.ask(apikey_tests::PUBLISHED_KEY);
        answer.assert_problem(503);
        assert!(!answer.body.contains("deploy"), "{}", answer.body);
        assert_eq!(shim.get("/live", &[]).status(), 200);
    }
}

/// By what is a member of the extension; and a role that may execute the functions that people
/// call, and no others, is served.
#[test]
fn the_functions_are_found() {
    use apikey_tests::Cluster;
    let mut database = Database::without_extension(Cluster::shared());
    database
        .superuser()
        .batch_execute("CREATE SCHEMA \"Odd name\"; CREATE EXTENSION apikey SCHEMA \"Odd name\"")
        .unwrap();
    let role = database.login("named", "");
    database
        .superuser()
        .batch_execute(&format!(
            "GRANT USAGE ON SCHEMA \"Odd name\" TO {0};
             GRANT EXECUTE ON FUNCTION \"Odd name\".apikey_check(text, inet) TO {0}",
            role.role
        ))
        .unwrap();
    let conninfo = database.conninfo(&role);
    let shim = Shim::start_as(&role, &conninfo, &[]);
    assert_eq!(shim.get("/ready", &[]).status(), 200, "{}", shim.log());
}
