//! Who may not, and who pretends to be somebody.

use crate::browser::Browser;
use crate::venue::Venue;
use apikey_tests::eventually;

#[test]
fn a_role_with_few_rights_reads_a_plain_sentence() {
    let venue = Venue::new(&[]);
    let key = venue.database.key("'event'");
    let prefix = &key[..8];
    for (language, sentence) in [("en", "may not"), ("fr", "n’a pas le droit")] {
        let browser = venue.browser_of("carl", language);
        for page in [
            "/keys".to_owned(),
            "/keys/new".to_owned(),
            format!("/keys/{prefix}"),
            format!("/keys/{prefix}/events"),
            "/events".to_owned(),
        ] {
            browser.go(&venue.url(&page));
            let text = browser.text();
            assert!(text.contains(sentence), "{page}: {text}");
            for secret in ["permission denied", "42501", "SELECT", prefix] {
                assert!(!text.contains(secret), "{page}: {text}");
            }
        }
        assert!(!browser.text().contains("API KEY"), "no button that would do nothing");
    }
}

#[test]
fn a_role_without_rights_is_told_so_and_stays_out() {
    let venue = Venue::new(&[]);
    for (language, sentence) in [("en", "may not do anything here"), ("fr", "de rien faire ici")] {
        let browser = Browser::new(language);
        venue.try_to_sign_in(&browser, "eve");
        browser.assert_path("/sign-in");
        browser.assert_reads(sentence);
        browser.go(&venue.url("/keys"));
        assert!(browser.path().starts_with("/sign-in"), "{}", browser.url());
    }
}

#[test]
fn an_auditor_sees_everything_and_changes_nothing() {
    let venue = Venue::new(&[]);
    let key = venue.database.key("'event'");
    let prefix = &key[..8];
    let browser = venue.browser_of("olga", "en");
    browser.assert_reads(prefix);
    assert!(!browser.text().contains("ADD API KEY"));
    browser.go(&venue.url(&format!("/keys/{prefix}")));
    let buttons = browser.texts_of("main button").join(" ");
    for action in ["Save", "Revoke", "Disable", "Rotate"] {
        assert!(!buttons.contains(action), "{buttons}");
    }
    browser.go(&venue.url("/events"));
    browser.assert_reads(prefix);
    // What is not offered is refused, too: by the database.
    browser.go(&venue.url("/keys"));
    browser.post(&format!("/keys/{prefix}/revoke"), &[("reason", "because")]);
    browser.assert_reads("may not");
    browser.go(&venue.url("/keys/new"));
    browser.assert_reads("may not");
    assert_eq!(venue.sql("SELECT status FROM apikeys"), "active");
}

#[test]
fn a_wrong_password_and_an_unknown_role_look_the_same() {
    let venue = Venue::new(&[]);
    let browser = Browser::new("en");
    let said = ["ada", "nobody"].map(|role| {
        browser.go(&venue.url("/sign-in"));
        browser.write("role", role);
        browser.write("password", "a wrong password");
        browser.press("Sign in");
        browser.assert_path("/sign-in");
        browser.text_of("[role=alert]")
    });
    assert_eq!(said[0], said[1]);
    assert!(!venue.shim.log().contains("a wrong password"));
}

#[test]
fn a_form_with_a_forged_token_does_nothing() {
    let venue = Venue::new(&[]);
    let key = venue.database.key("'event'");
    let page = venue.url(&format!("/keys/{}", &key[..8]));
    let other = venue.browser_of("ada", "en").attribute("[name=csrf]", "value");
    let browser = venue.browser_of("ada", "en");
    for token in ["", &"0".repeat(64), "nothing", &other] {
        browser.go(&page);
        browser.script(&format!(
            "for (const field of document.querySelectorAll('[name=csrf]')) field.value = '{token}'"
        ));
        browser.press("Disable");
        browser.assert_reads("This form was not given out");
        assert_eq!(venue.sql("SELECT status FROM apikeys"), "active", "{token:?}");
    }
    browser.go(&page);
    browser.press("Disable");
    assert_eq!(venue.sql("SELECT status FROM apikeys"), "disabled");
}

/// The browser itself does not send the cookie along, and says where the form came from.
#[test]
fn a_form_of_another_site_does_nothing() {
    let venue = Venue::new(&[]);
    let key = venue.database.key("'event'");
    let browser = venue.browser_of("ada", "en");
    let token = browser.attribute("[name=csrf]", "value");
    let action = venue.url(&format!("/keys/{}/disable", &key[..8]));
    browser.go(&format!(
        "data:text/html,<form method=post action='{action}'><input name=csrf value={token}><button>win</button></form>"
    ));
    browser.press("win");
    assert_eq!(venue.sql("SELECT status FROM apikeys"), "active");
    // It was no use to whoever tried, and no harm to Ada.
    browser.go(&venue.url("/keys"));
    browser.assert_path("/keys");
}

#[test]
fn a_cookie_is_worth_nothing_after_sign_out() {
    let venue = Venue::new(&[]);
    let browser = venue.browser_of("ada", "en");
    let cookies = browser.cookies();
    let session = cookies.iter().find(|cookie| cookie.name() == "apikey-session").unwrap().clone();
    assert_eq!(session.http_only(), Some(true));
    assert_eq!(session.same_site().map(|same| same.is_strict()), Some(true));
    assert_eq!(browser.script("return document.cookie"), "");

    let thief = Browser::new("en");
    let steal = || {
        thief.go(&venue.url("/sign-in"));
        thief.add_cookie("apikey-session", session.value());
        thief.go(&venue.url("/keys"));
    };
    steal();
    thief.assert_path("/keys");
    browser.press("Sign out");
    browser.assert_path("/sign-in");
    steal();
    assert!(thief.path().starts_with("/sign-in"), "{}", thief.url());
    // The way back shows nothing of what was there.
    browser.back();
    eventually("one is asked to sign in", || browser.path().starts_with("/sign-in"));
}

/// Signing in makes a new session: one that somebody planted is not taken.
#[test]
fn a_planted_cookie_is_not_taken_for_a_session() {
    let venue = Venue::new(&[]);
    let browser = Browser::new("en");
    browser.go(&venue.url("/sign-in"));
    let planted = "5".repeat(64);
    browser.add_cookie("apikey-session", &planted);
    venue.sign_in(&browser, "ada");
    let cookies = browser.cookies();
    let session = cookies.iter().find(|cookie| cookie.name() == "apikey-session").unwrap();
    assert_ne!(session.value(), planted);
}

const MARKUP: &str =
    r#"<script>document.title="run"</script><img src=x onerror='document.title="run"'>"&'"#;

/// Wherever a name, an owner, a reason, a tenant or a scope is shown, it is text.
#[test]
fn markup_in_a_name_is_text() {
    let venue = Venue::new(&[]);
    let quoted = MARKUP.replace('\'', "''");
    let key = venue.sql(&format!(
        "SELECT apikey_create('{quoted}', 'event', owner => '{quoted}', tenant => '{quoted}')"
    ));
    let prefix = &key[..8];
    venue.sql(&format!("SELECT apikey_disable('{key}')"));
    let browser = venue.browser_of("ada", "en");
    let visit = || {
        for page in venue.pages(prefix) {
            browser.go(&page);
            assert_ne!(browser.title(), "run", "{page}");
            assert!(browser.all("main script, main img").is_empty(), "{page}");
            assert_eq!(browser.console_errors(), [""; 0], "{page}");
        }
    };
    visit();
    browser.go(&venue.url("/keys"));
    browser.assert_reads(MARKUP);
    browser.go(&venue.url(&format!("/keys/{prefix}")));
    assert_eq!(browser.value_of("[name=name]"), MARKUP);
    venue.sql(&format!("SELECT apikey_revoke('{key}', '{quoted}')"));
    visit();
    let query: String = url::form_urlencoded::byte_serialize(MARKUP.as_bytes()).collect();
    browser.go(&venue.url(&format!("/keys?q={query}&sort={query}&status={query}&owner={query}")));
    assert!(browser.all("main script, main img").is_empty());
    assert_ne!(browser.title(), "run");
}
