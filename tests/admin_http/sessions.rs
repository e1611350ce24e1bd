//! Sessions, as somebody who has the cookie sees them.

use crate::office::Office;
use apikey_tests::{Certificate, eventually, program, run};
use std::thread::sleep;
use std::time::Duration;

fn is_out(answer: &apikey_tests::Answer) -> bool {
    answer.status() == 303 && answer.header("location").unwrap().starts_with("/sign-in")
}

#[test]
fn a_stolen_cookie_is_worth_nothing_after_signing_out() {
    let office = Office::open(&[]);
    let key = office.database.key("'event'");
    let mut ada = office.desk_of(&office.ada);
    ada.get("/keys");
    let mut thief = ada.thief();
    assert_eq!(thief.get("/keys").status(), 200, "until then it is the session");
    let answer = ada.post("/sign-out", &[]);
    assert!(is_out(&answer) && answer.header("set-cookie").unwrap().contains("Max-Age=0"));
    assert!(is_out(&thief.get("/keys")));
    assert!(is_out(&thief.post(&format!("/keys/{}/revoke", &key[..8]), &[])));
    assert_eq!(office.sql("SELECT status FROM apikeys"), "active");
    // The connection of the role is gone, too.
    eventually("the connection ends", || {
        office.sql(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'apikey-admin%'",
        ) == "0"
    });
}

#[test]
fn a_session_past_its_end_is_none() {
    let office = Office::open(&["--admin-session-idle", "1s", "--admin-session-total", "3s"]);
    let key = office.database.key("'event'");
    let mut ada = office.desk_of(&office.ada);
    ada.get("/keys");
    sleep(Duration::from_millis(1500));
    assert!(is_out(&ada.post(&format!("/keys/{}/revoke", &key[..8]), &[])), "idle");
    assert_eq!(office.sql("SELECT status FROM apikeys"), "active");

    let mut ada = office.desk_of(&office.ada);
    eventually("it ends, though it is used", || {
        sleep(Duration::from_millis(200));
        is_out(&ada.get("/keys"))
    });
    let page = ada.get("/sign-in?ended=1");
    assert!(page.body.contains("Your session has ended"), "{}", page.body);
}

/// Whatever name a browser brings along, signing in gives another one, and the old one ends.
#[test]
fn the_name_of_a_session_is_new_at_each_sign_in() {
    let office = Office::open(&[]);
    let mut ada = office.desk_of(&office.ada);
    ada.get("/keys");
    let thief = ada.thief();
    let name = |jar: String| {
        let cookies = std::fs::read_to_string(jar).unwrap();
        let line = cookies.lines().find(|line| line.contains("apikey-session")).unwrap().to_owned();
        line.split('\t').next_back().unwrap().to_owned()
    };
    let before = name(ada.jar());
    assert_eq!(before.len(), 64);
    // The form that somebody else left open in this browser.
    let sign_in = std::fs::read_to_string(ada.jar()).unwrap();
    let token = sign_in.lines().find(|line| line.contains("apikey-sign-in")).unwrap();
    let token = token.split('\t').next_back().unwrap();
    let fields = [("role", office.ada.role.as_str()), ("password", &office.ada.password)];
    assert_eq!(ada.post_with(token, "/sign-in", &fields).status(), 303);
    assert_ne!(name(ada.jar()), before);
    assert!(is_out(&thief.ask("/keys", &[])));
    let planted = "0".repeat(64);
    let cookie = format!("apikey-session={planted}");
    assert!(is_out(&office.visitor().ask("/keys", &["--header", &format!("Cookie: {cookie}")])));
}

#[test]
fn there_are_no_more_sessions_than_allowed() {
    let office = Office::open(&["--admin-sessions", "2"]);
    let mut desks: Vec<_> = (0..3).map(|_| office.desk_of(&office.ada)).collect();
    let out: Vec<_> = desks.iter_mut().map(|desk| is_out(&desk.get("/keys"))).collect();
    assert_eq!(out, [true, false, false], "the one that was unused for longest ended");
    assert_eq!(
        office.sql(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'apikey-admin%'"
        ),
        "2"
    );
}

/// Where the browser has TLS, the cookie goes nowhere without it. Only a proxy of ours is believed.
#[test]
fn cookies_are_secure_behind_tls() {
    let office = Office::open(&["--trusted-proxy", "127.0.0.1"]);
    let mut by_tls =
        office.visitor_by_proxy(&["X-Forwarded-Proto: https", "X-Forwarded-For: 192.0.2.7"]);
    let answer = by_tls.get("/sign-in");
    let cookie = answer.header("set-cookie").unwrap();
    assert!(
        cookie.starts_with("__Host-apikey-sign-in=") && cookie.contains("; Secure"),
        "{cookie}"
    );
    let answer = office.visitor().get("/sign-in");
    let cookie = answer.header("set-cookie").unwrap();
    assert!(
        cookie.contains("; HttpOnly; SameSite=Strict") && !cookie.contains("Secure"),
        "{cookie}"
    );
    let elsewhere = Office::open(&[]);
    let answer = elsewhere.visitor_by_proxy(&["X-Forwarded-Proto: https"]).get("/sign-in");
    assert!(!answer.header("set-cookie").unwrap().contains("Secure"));
}

#[test]
fn with_a_certificate_the_page_is_https_and_nothing_else() {
    let certificate = Certificate::new();
    let tls = certificate.flags();
    let flags: Vec<_> = tls.iter().map(String::as_str).chain(["--admin-tls"]).collect();
    let office = Office::open(&flags);
    let mut ada = office.visitor_by_tls(&certificate.certificate());
    let answer = ada.sign_in(&office.ada);
    assert_eq!(answer.status(), 303, "{}", answer.body);
    let cookie = answer.header("set-cookie").unwrap();
    assert!(
        cookie.starts_with("__Host-apikey-session=") && cookie.contains("; Secure"),
        "{cookie}"
    );
    assert_eq!(ada.get("/keys").status(), 200);
    let plain =
        run(&mut program("curl", &["-sS", "--max-time", "20", &office.shim.admin_url("/")]));
    assert_ne!(plain.code, Some(0), "{}", plain.stdout);
}
