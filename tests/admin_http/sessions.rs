//! Sessions, as somebody who has the cookie sees them.

use apikey_tests::{Certificate, Office, eventually, program, run};
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
    eventually("the connection ends", || office.connections() == "0");
}

#[test]
fn a_session_past_its_end_is_none() {
    let office = Office::open(&["--admin-session-idle", "1s", "--admin-session-total", "3s"]);
    let key = office.database.key("'event'");
    let mut ada = office.desk_of(&office.ada);
    ada.get("/keys");
    sleep(Duration::from_millis(1500));
    let answer = ada.post(&format!("/keys/{}/revoke", &key[..8]), &[]);
    assert!(is_out(&answer), "idle");
    assert_eq!(office.sql("SELECT status FROM apikeys"), "active");
    // Having signed in again, one is where one was.
    let page = ada.follow(&answer);
    assert!(page.body.contains("Your session has ended"), "{}", page.body);
    // The form's own, behind that of the switch of languages.
    let back = page.body.rsplit_once("name=\"back\" value=\"").unwrap().1;
    let back = back.split('"').next().unwrap();
    let login = [("role", office.ada.role.as_str()), ("password", &office.ada.password)];
    let answer = ada.post("/sign-in", &[&login[..], &[("back", back)]].concat());
    let there = format!("/keys/{}/revoke", &key[..8]);
    assert_eq!((answer.status(), answer.header("location")), (303, Some(there.as_str())));

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
    let before = ada.cookie("apikey-session");
    assert_eq!(before.len(), "apikey-session=".len() + 64);
    // The form that somebody else left open in this browser.
    let token = ada.cookie("apikey-sign-in");
    let token = token.strip_prefix("apikey-sign-in=").unwrap();
    let fields = [("role", office.ada.role.as_str()), ("password", &office.ada.password)];
    assert_eq!(ada.post_with(token, "/sign-in", &fields).status(), 303);
    assert_ne!(ada.cookie("apikey-session"), before);
    assert!(is_out(&thief.ask("/keys", &[])));
    let planted = "0".repeat(64);
    let mut visitor = office.visitor();
    visitor.plant("apikey-session", &planted);
    visitor.get("/sign-in");
    assert_eq!(visitor.cookie("apikey-session"), format!("apikey-session={planted}"));
    assert_eq!(visitor.sign_in(&office.ada).status(), 303);
    assert_ne!(visitor.cookie("apikey-session"), format!("apikey-session={planted}"));
    let cookie = format!("apikey-session={planted}");
    assert!(is_out(&office.visitor().ask("/keys", &["--header", &format!("Cookie: {cookie}")])));
}

#[test]
fn there_are_no_more_sessions_than_allowed() {
    let office = Office::open(&["--admin-sessions", "2"]);
    let mut desks: Vec<_> = (0..3).map(|_| office.desk_of(&office.ada)).collect();
    let out: Vec<_> = desks.iter_mut().map(|desk| is_out(&desk.get("/keys"))).collect();
    assert_eq!(out, [true, false, false], "the one that was unused for longest ended");
    eventually("their connections end, too", || office.connections() == "2");
}

/// Whoever has nothing to do here takes up no place, however often he proves who he is.
#[test]
fn a_role_without_rights_ends_nobodys_session() {
    let office = Office::open(&["--admin-sessions", "2"]);
    let mut desks = [office.desk_of(&office.ada), office.desk_of(&office.audrey)];
    for n in 0..21 {
        let answer = office.visitor().sign_in(&office.stranger);
        assert_eq!(answer.header("set-cookie"), None);
        let said = if n < 10 { "may not do anything here" } else { "Too many attempts" };
        assert!(answer.body.contains(said), "{}", answer.body);
    }
    for desk in &mut desks {
        assert_eq!(desk.get("/keys").status(), 200);
    }
    eventually("nothing is left of it", || office.connections() == "2");
}

/// A role with some rights signs in more often than there are places.
#[test]
fn who_signs_in_again_and_again_ends_sessions_of_his_own() {
    let office = Office::open(&["--admin-sessions", "4"]);
    let mut ada = office.desk_of(&office.ada);
    let mut his: Vec<_> = (0..21).map(|_| office.desk_of(&office.chester)).collect();
    let mut audrey = office.desk_of(&office.audrey);
    his.push(office.desk_of(&office.chester));
    let in_it: Vec<_> = his.iter_mut().map(|desk| !is_out(&desk.get("/test"))).collect();
    assert_eq!(in_it.iter().filter(|is_in| **is_in).count(), 2);
    assert!(in_it[20] && in_it[21], "his last ones");
    for desk in [&mut ada, &mut audrey] {
        assert_eq!(desk.get("/keys").status(), 200);
    }
    eventually("there is one connection for each", || office.connections() == "4");
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
