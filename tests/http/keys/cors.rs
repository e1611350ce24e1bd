//! Cross-origin requests. A real browser's are in `examples.rs`.

use apikey_tests::{Answer, Database, Shim};

const OURS: &str = "https://shop.example";
const PATH: &str = "/api/user/keytest/";

fn origin(answer: &Answer) -> (Option<&str>, Option<&str>) {
    (
        answer.header("access-control-allow-origin"),
        answer.header("access-control-allow-credentials"),
    )
}

#[test]
fn a_configured_origin_may_read_answers_and_errors() {
    let mut database = Database::new();
    let key = format!("Authorization: Api-Key {}", database.key("'event'"));
    let shim = Shim::start(
        &mut database,
        &["--cors-origin", "https://other.example,https://shop.example"],
    );
    let ours = format!("Origin: {OURS}");
    for (path, line, status) in
        [(PATH, &*key, 200), (PATH, "X-No: key", 401), ("/nothing", &*key, 404)]
    {
        let answer = shim.get(path, &[&ours, line]);
        assert_eq!(answer.status(), status);
        assert_eq!(origin(&answer), (Some(OURS), Some("true")));
        assert_eq!(answer.header("vary"), Some("Origin"));
    }
    for stranger in
        ["https://shop.example.evil", "http://shop.example", "null", "https://shop.example:444"]
    {
        let answer = shim.get(PATH, &[&format!("Origin: {stranger}"), &key]);
        assert_eq!(answer.status(), 200);
        assert_eq!(origin(&answer), (None, None), "{stranger}");
        assert_eq!(answer.header("vary"), Some("Origin"));
    }
    assert_eq!(shim.get(PATH, &[&key]).header("vary"), Some("Origin"));
}

#[test]
fn a_pre_flight_allows_what_is_needed_and_no_more() {
    let mut database = Database::new();
    let shim = Shim::start(&mut database, &["--cors-origin", OURS]);
    let ask = |origin: &str| {
        shim.request(
            "OPTIONS",
            PATH,
            &[
                &format!("Origin: {origin}"),
                "Access-Control-Request-Method: GET",
                "Access-Control-Request-Headers: authorization",
            ],
        )
    };
    let answer = ask(OURS);
    assert_eq!((answer.status(), &*answer.body), (204, ""));
    assert_eq!(origin(&answer), (Some(OURS), Some("true")));
    assert_eq!(answer.header("access-control-allow-methods"), Some("GET, HEAD"));
    assert_eq!(
        answer.header("access-control-allow-headers"),
        Some("Authorization, X-Api-Key, Content-Type, X-Request-Id")
    );
    assert!(answer.header("access-control-max-age").is_some());
    let stranger = ask("https://evil.example");
    assert_eq!(stranger.status(), 204);
    assert!(!stranger.head.to_ascii_lowercase().contains("access-control-"), "{}", stranger.head);
}

#[test]
fn further_headers_are_allowed_by_name() {
    let mut database = Database::new();
    let flags = ["--cors-origin", OURS, "--cors-header", "baggage, traceparent"];
    let shim =
        Shim::start(&mut database, &[&flags[..], &["--cors-header", "sentry-trace"]].concat());
    let answer = shim.request(
        "OPTIONS",
        PATH,
        &[&format!("Origin: {OURS}"), "Access-Control-Request-Method: GET"],
    );
    assert_eq!(
        answer.header("access-control-allow-headers"),
        Some(
            "Authorization, X-Api-Key, Content-Type, X-Request-Id, baggage, traceparent, sentry-trace"
        )
    );
}

#[test]
fn without_configured_origins_there_is_no_trace_of_it() {
    let mut database = Database::new();
    let shim = Shim::start(&mut database, &[]);
    let answer = shim.get("/live", &["Origin: https://shop.example"]);
    let head = answer.head.to_ascii_lowercase();
    assert!(!head.contains("access-control-") && !head.contains("vary"), "{head}");
}
