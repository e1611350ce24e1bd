//! What every answer says to the browser, and what is where.

use apikey_tests::{Office, short_run};
use std::io::Write;
use std::net::TcpStream;

const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

#[test]
fn every_answer_is_kept_by_nobody_and_runs_nothing_from_elsewhere() {
    let office = Office::open(&[]);
    let mut ada = office.desk_of(&office.ada);
    let mut answers = vec![ada.add("till"), ada.post("/nowhere", &[])];
    let key = office.database.key("'event'");
    for path in [
        "/",
        "/keys",
        "/keys/new",
        "/events",
        "/test",
        "/sign-in",
        "/nothing",
        "/assets/style.css",
        "/assets/copy.js",
        "/assets/again.js",
        "/assets/addresses.js",
        &format!("/keys/{}", &key[..8]),
        &format!("/keys/{}/events", &key[..8]),
    ] {
        answers.push(ada.get(path));
        answers.push(office.visitor().get(path));
    }
    answers.push(ada.post_with("wrong", "/sign-out", &[]));
    answers.push(ada.ask("/keys", &["--request", "DELETE"]));
    for answer in answers {
        assert_eq!(answer.header("content-security-policy"), Some(POLICY), "{}", answer.head);
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert!(!answer.body.contains("<style") && !answer.body.contains(" style="));
        assert!(!answer.body.contains("<script>") && !answer.body.contains(" onclick="));
    }
}

/// The public port has no admin page, and none is there unless it is asked for.
#[test]
fn the_two_ports_have_nothing_in_common() {
    let office = Office::open(&[]);
    for path in ["/keys", "/sign-in", "/assets/style.css"] {
        office.shim.get(path, &[]).assert_problem(404);
    }
    let mut visitor = office.visitor();
    assert_eq!(visitor.get("/live").status(), 303);
    let answer = visitor.get("/api/user/keytest/");
    assert_eq!(
        (answer.status(), answer.header("location").unwrap()),
        (303, "/sign-in?back=%2Fkeys")
    );

    let database = ["--database", "host=127.0.0.1 user=nobody", "--listen", "127.0.0.1:0"];
    let taken = office.shim.admin_url("").replace("http://", "");
    let output = short_run(&[&database[..], &["--admin-listen", &taken]].concat(), &[]);
    assert_eq!(output.code, Some(69), "{}", output.stderr);
    assert!(output.stderr.contains("--admin-listen"), "{}", output.stderr);
}

#[test]
fn requests_that_are_no_forms_are_refused() {
    let office = Office::open(&["--header-timeout", "500ms"]);
    let mut ada = office.desk_of(&office.ada);
    ada.get("/keys");
    let csrf = ada.csrf.clone();
    let large = "x".repeat(100_000);
    assert_eq!(ada.post("/keys/new", &[("name", &large)]).status(), 413);
    let token = format!("csrf={csrf}");
    assert_eq!(ada.ask("/keys/new", &["--data", &token, "--data", "name=a%00b"]).status(), 400);
    let json = ["--json", "{\"name\":\"a\"}"];
    assert_eq!(ada.ask("/keys/new", &json).status(), 400);
    assert_eq!(ada.ask("/keys?q=%00", &[]).status(), 400);
    assert_eq!(ada.ask("/keys", &["--request", "PUT"]).status(), 405);
    assert_eq!(ada.post_with(&csrf, "/keys", &[]).status(), 405);

    // A form that never comes to its end.
    let address = office.shim.admin_url("").replace("http://", "");
    let mut stream = TcpStream::connect(address).unwrap();
    let head = "POST /sign-in HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\nConnection: close\r\n\r\nrole=";
    stream.write_all(head.as_bytes()).unwrap();
    assert_eq!(apikey_tests::Answer::read(stream).status(), 408);
    assert_eq!(office.sql("SELECT count(*) FROM apikey.key"), "0");
}

#[test]
fn thousands_of_keys_are_searched_filtered_and_sorted() {
    let office = Office::open(&[]);
    let verifier = office.database.key("'event'");
    office
        .database
        .superuser()
        .batch_execute(&format!(
            "INSERT INTO apikey.key (prefix, verifier, name, owner, auth, tenant)
             SELECT 'B' || lpad(n::text, 7, '0'), k.verifier, 'key ' || n, 'owner ' || n % 3,
                    CASE n % 3 WHEN 0 THEN '\"event\"' WHEN 1 THEN '[\"event\",\"ticket\"]'
                               ELSE '{{\"event\":true,\"ticket\":false}}' END::jsonb, 'venue ' || n % 2
               FROM generate_series(1, 3000) AS n, apikey.key AS k WHERE k.prefix = '{}'",
            &verifier[..8]
        ))
        .unwrap();
    let mut audrey = office.desk_of(&office.audrey);
    for (query, count) in [
        ("", "3001 keys"),
        ("q=key+299", "11 keys"),
        ("q=KEY+2999", "1 key"),
        ("q=B0000007", "1 key"),
        ("q=100%25", "No key matches"),
        ("scope=ticket", "1000 keys"),
        ("scope=event&owner=owner+2", "1000 keys"),
        ("tenant=venue+1&owner=owner+0", "500 keys"),
        ("status=revoked", "No key matches"),
        ("status=active&sort=-name&page=61", "3001 keys"),
    ] {
        let answer = audrey.get(&format!("/keys?{query}"));
        assert_eq!(answer.status(), 200);
        assert!(answer.body.contains(&format!(">{count}")), "{query}: {}", answer.body);
    }
    let names = |body: &str| {
        let cells = body.split("<th scope=\"row\">").skip(1);
        cells.map(|cell| cell.split(['>', '<']).nth(2).unwrap().to_owned()).collect::<Vec<_>>()
    };
    let first = names(&audrey.get("/keys?q=key+1&sort=name").body);
    let last = names(&audrey.get("/keys?q=key+1&sort=-name").body);
    assert_eq!((first.len(), first[0].as_str(), last[0].as_str()), (50, "key 1", "key 1999"));
    // A whole key that is pasted is looked for by its prefix, and does not stay in the address.
    let answer = audrey.get(&format!("/keys?q={verifier}"));
    assert_eq!(answer.header("location"), Some(format!("/keys?q={}", &verifier[..8]).as_str()));
}
