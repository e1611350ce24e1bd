//! Forms that somebody else made.

use apikey_tests::Office;

#[test]
fn without_the_token_of_this_session_nothing_is_done() {
    let office = Office::open(&[]);
    let key = office.database.key("'event'");
    let (mut ada, mut other) = (office.desk_of(&office.ada), office.desk_of(&office.ada));
    ada.get("/keys");
    other.get("/keys");
    assert_ne!(ada.csrf, other.csrf);
    let page = format!("/keys/{}", &key[..8]);
    for token in ["", "x", &"0".repeat(64), &other.csrf, &ada.csrf.to_uppercase()] {
        for path in ["/revoke", "/disable", "/rotate", ""] {
            let answer = ada.post_with(token, &format!("{page}{path}"), &[("grace", "0")]);
            assert_eq!(answer.status(), 403, "{path}: {}", answer.body);
            assert!(answer.body.contains("This form is not from this page"), "{}", answer.body);
        }
        for path in ["/keys/new", "/test", "/language", "/sign-out", "/sign-in"] {
            assert_eq!(ada.post_with(token, path, &[("lang", "fr")]).status(), 403, "{path}");
        }
    }
    // The token is asked for in the form alone.
    let by_address = format!("{page}/revoke?csrf={}", ada.csrf);
    assert_eq!(ada.post_with("", &by_address, &[]).status(), 403);
    assert_eq!(office.sql("SELECT status || accepted FROM apikeys"), "active0");
    assert_eq!(ada.get("/keys").status(), 200, "still signed in");
    assert_eq!(ada.post(&format!("{page}/disable"), &[]).status(), 303);
    assert_eq!(office.sql("SELECT status FROM apikeys"), "disabled");
}

/// Browsers say so themselves, whatever the form brings along.
#[test]
fn a_form_that_comes_from_another_site_is_refused() {
    let office = Office::open(&[]);
    let mut ada = office.desk_of(&office.ada);
    ada.get("/keys/new");
    let token = format!("csrf={}", ada.csrf);
    for (site, status) in [("cross-site", 403), ("same-site", 403), ("same-origin", 303)] {
        let header = format!("Sec-Fetch-Site: {site}");
        let arguments = ["--header", &header, "--data", &token, "--data", "lang=fr"];
        assert_eq!(ada.ask("/language", &arguments).status(), status, "{site}");
    }
}

/// Nobody is signed in by somebody else's form, and nobody is led away after signing in.
#[test]
fn signing_in_needs_a_form_of_ours_and_leads_nowhere_else() {
    let office = Office::open(&[]);
    let mut visitor = office.visitor();
    let fields = [("role", office.ada.role.as_str()), ("password", &office.ada.password)];
    assert_eq!(visitor.post_with("", "/sign-in", &fields).status(), 403);
    assert_eq!(visitor.post_with(&"0".repeat(64), "/sign-in", &fields).status(), 403);
    for back in ["https://evil.example/", "//evil.example", "/\\evil.example", "/keys\r\nX-Evil: 1"]
    {
        let mut visitor = office.visitor();
        visitor.get("/sign-in");
        let answer = visitor.post("/sign-in", &[&fields[..], &[("back", back)]].concat());
        assert_eq!((answer.status(), answer.header("location")), (303, Some("/keys")), "{back}");
        assert_eq!(answer.header("x-evil"), None);
    }
    let answer = visitor.get("/events?page=2");
    assert_eq!(answer.header("location"), Some("/sign-in?back=%2Fevents%3Fpage%3D2"));
}
