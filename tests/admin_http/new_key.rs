//! A new key is in one answer, and nowhere else.

use apikey_tests::{Office, shown_key};

#[test]
fn a_key_is_shown_once_and_sending_the_form_again_makes_no_other() {
    let office = Office::open(&[]);
    let mut ada = office.desk_of(&office.ada);
    ada.get("/keys/new");
    let once = ada.hidden("once");
    let fields = [
        ("once", once.as_str()),
        ("name", "till"),
        ("auth", "event"),
        ("ips", "127.0.0.1"),
        ("create_revoke", "1"),
    ];
    let answer = ada.post("/keys/new", &fields);
    assert_eq!(answer.status(), 200, "{}", answer.body);
    let key = shown_key(&answer).unwrap().to_owned();
    assert_eq!(
        office.shim.ask(&key).body,
        r#"{"auth":"event","ip_request":"127.0.0.1","ip_valid":true}"#
    );
    assert!(!answer.head.contains(&key[9..]));

    let csrf = ada.csrf.clone();
    let again = ada.post_with(&csrf, "/keys/new", &fields);
    assert_eq!((again.status(), shown_key(&again)), (409, None));
    assert!(again.body.contains("is not shown again"), "{}", again.body);
    assert_eq!(office.sql("SELECT count(*) FROM apikey.key"), "1");
    for page in [
        "/keys",
        "/events",
        &format!("/keys/{}", &key[..8]),
        &format!("/keys/{}/events", &key[..8]),
    ] {
        assert!(!ada.get(page).body.contains(&key[9..]), "{page}");
    }
    // Typed into the page that tests it, it does not come back either.
    ada.get("/test");
    let tested = ada.post("/test", &[("key", &key), ("ip", "127.0.0.1")]);
    assert!(
        tested.body.contains("The key is accepted.") && tested.body.contains("200 OK"),
        "{}",
        tested.body
    );
    assert!(!tested.body.contains(&key[9..]));
    office.assert_not_logged(&key);
}

#[test]
fn two_clicks_at_once_make_one_key() {
    let office = Office::open(&[]);
    let mut ada = office.desk_of(&office.ada);
    ada.get("/keys/new");
    let once = ada.hidden("once");
    let fields = [("once", once.as_str()), ("name", "till"), ("auth", "a"), ("create_revoke", "1")];
    let mut statuses: Vec<_> = std::thread::scope(|scope| {
        let clicks: Vec<_> = (0..4)
            .map(|_| {
                let click = ada.thief();
                scope.spawn(move || click.post_with(&click.csrf, "/keys/new", &fields).status())
            })
            .collect();
        clicks.into_iter().map(|click| click.join().unwrap()).collect()
    });
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409, 409, 409]);
}

#[test]
fn rotating_shows_the_new_key_once_and_keeps_the_old_one_for_its_grace() {
    let office = Office::open(&[]);
    let key = office.database.key("'event'");
    let mut ada = office.desk_of(&office.ada);
    for (action, status) in [("disable", "disabled"), ("enable", "active")] {
        ada.get(&format!("/keys/{}", &key[..8]));
        assert_eq!(ada.post(&format!("/keys/{}/{action}", &key[..8]), &[]).status(), 303);
        assert_eq!(office.sql("SELECT status FROM apikeys"), status);
    }
    ada.get(&format!("/keys/{}", &key[..8]));
    assert!(ada.page.contains("<option value=\"86400\">1 day</option>"), "{}", ada.page);
    let once = ada.hidden("once");
    let path = format!("/keys/{}/rotate", &key[..8]);
    assert_eq!(ada.post(&path, &[("once", &once), ("grace", "1 year")]).status(), 400);
    let answer = ada.post(&path, &[("once", &once), ("grace", "86400")]);
    let new = shown_key(&answer).unwrap().to_owned();
    assert_eq!(office.shim.ask(&new).status(), 200);
    assert_eq!(office.shim.ask(&key).status(), 200);
    assert_eq!(ada.post(&path, &[("once", &once), ("grace", "86400")]).status(), 409);
    let status = format!("SELECT status FROM apikeys WHERE prefix = '{}'", &key[..8]);
    assert_eq!(office.sql(&status), "rotating");
    // Somebody who has the page open from before is told so.
    let other = "f".repeat(64);
    let late = ada.post(&path, &[("once", &other), ("grace", "0")]);
    assert_eq!(late.status(), 409);
    assert!(late.body.contains("cannot") || late.body.contains("any more"), "{}", late.body);
    assert_eq!(office.sql("SELECT count(*) FROM apikeys"), "2");

    let page = format!("/keys/{}", &new[..8]);
    // Where one signs in again after the session has ended.
    let there = ada.get(&format!("{page}/revoke"));
    assert_eq!(there.header("location"), Some(page.as_str()));
    ada.get(&page);
    let lost = [("reason", "laptop stolen")];
    assert_eq!(ada.post(&format!("{page}/revoke"), &lost).status(), 303);
    let reason = format!("SELECT revoke_reason FROM apikey.key WHERE prefix = '{}'", &new[..8]);
    assert_eq!(office.sql(&reason), "laptop stolen");
    assert_eq!(office.shim.ask(&new).status(), 401);
    assert!(ada.get(&format!("{page}/events")).body.contains("laptop stolen"));
}

#[test]
fn markup_in_a_name_is_text() {
    let office = Office::open(&[]);
    let name = "<script>alert(1)</script>\"'&amp;";
    let mut ada = office.desk_of(&office.ada);
    assert_eq!(ada.add(name).status(), 200);
    assert_eq!(office.sql("SELECT name FROM apikeys"), name, "stored as it was typed");
    let prefix = office.sql("SELECT prefix FROM apikeys");
    for page in [
        "/keys",
        "/keys?q=%3Cscript%3E",
        "/events",
        &format!("/keys/{prefix}"),
        &format!("/keys/{prefix}/events"),
    ] {
        let answer = ada.get(page);
        assert!(answer.body.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "{page}");
        assert!(!answer.body.contains("<script>"), "{page}");
    }
    // In what is shown again because it was wrong, too.
    ada.get("/keys/new");
    let once = ada.hidden("once");
    let fields = [("once", once.as_str()), ("name", name), ("ips", "<b>"), ("auth", "\"><i>")];
    let answer = ada.post("/keys/new", &fields);
    assert_eq!(answer.status(), 422);
    assert!(
        !["<script>", "<b>", "<i>"].iter().any(|tag| answer.body.contains(tag)),
        "{}",
        answer.body
    );
}

/// The page that tests a key says what the platform's own check says.
#[test]
fn a_manager_is_told_why_a_key_is_refused() {
    let mut office = Office::open(&[]);
    let mia = office.database.login("mia", "IN ROLE apikey_manager, apikey_checker");
    let mut mia = office.desk_of(&mia);
    mia.get("/keys/new");
    let once = mia.hidden("once");
    let fields = [
        ("once", once.as_str()),
        ("name", "till"),
        ("auth", "event"),
        ("ips", "192.0.2.1"),
        ("create_revoke", "1"),
    ];
    let key = shown_key(&mia.post("/keys/new", &fields)).unwrap().to_owned();
    assert_eq!(
        office.keytest(&key).success(),
        r#"{"auth":"event","ip_request":"127.0.0.1","ip_valid":false}"#
    );
    let mut outcome = |ip: &str| {
        mia.get("/test");
        let answer = mia.post("/test", &[("key", &key), ("ip", ip)]);
        // Not in an address, and not on the page.
        assert_eq!(answer.status(), 200);
        assert!(!answer.body.contains(&key[9..]) && !answer.head.contains(&key[9..]));
        mia.text()
    };
    let good = outcome("192.0.2.1");
    assert!(good.contains("\"ip_valid\":true"), "{good}");
    let elsewhere = outcome("192.0.2.2");
    assert!(elsewhere.contains("\"ip_valid\":false"), "{elsewhere}");
    office.sql(&format!("SELECT apikey_revoke('{key}')"));
    let revoked = outcome("192.0.2.1");
    assert!(revoked.contains("revoked"), "{revoked}");
    office.assert_not_logged(&key);
}
