//! Who may not, and who pretends to be somebody.

use crate::browser::Browser;
use crate::pages::pages;
use apikey_tests::{Office, eventually};

/// The browser itself does not send the cookie along, and says where the form came from.
#[test]
fn a_form_of_another_site_does_nothing() {
    let office = Office::open(&[]);
    let key = office.database.key("'event'");
    let browser = Browser::of(&office, &office.ada, "en");
    let token = browser.attribute("[name=csrf]", "value");
    let action = office.shim.admin_url(&format!("/keys/{}/disable", &key[..8]));
    browser.go(&format!(
        "data:text/html,<form method=post action='{action}'><input name=csrf value={token}><button>win</button></form>"
    ));
    browser.press("win");
    assert_eq!(office.sql("SELECT status FROM apikeys"), "active");
    // It was no use to whoever tried, and no harm to Ada.
    browser.go(&office.shim.admin_url("/keys"));
    browser.assert_path("/keys");
}

/// No script reads the cookie, and the way back shows nothing of what was there.
#[test]
fn nothing_is_left_in_the_browser_after_sign_out() {
    let office = Office::open(&[]);
    let browser = Browser::of(&office, &office.ada, "en");
    assert_eq!(browser.script("return document.cookie"), "");
    let cookies = browser.cookies();
    let session = cookies.iter().find(|cookie| cookie.name() == "apikey-session").unwrap();
    assert_eq!(session.http_only(), Some(true));
    assert_eq!(session.same_site().map(|same| same.is_strict()), Some(true));
    browser.press("Sign out");
    browser.assert_path("/sign-in");
    browser.back();
    eventually("one is asked to sign in", || browser.path().starts_with("/sign-in"));
}

const MARKUP: &str =
    r#"<script>document.title="run"</script><img src=x onerror='document.title="run"'>"&'"#;

/// Wherever a name, an owner, a reason, a tenant or a scope is shown, it is text.
#[test]
fn markup_in_a_name_is_text() {
    let office = Office::open(&[]);
    let quoted = MARKUP.replace('\'', "''");
    let key = office.sql(&format!(
        "SELECT apikey_create('{quoted}', 'event', owner => '{quoted}', tenant => '{quoted}')"
    ));
    let prefix = &key[..8];
    office.sql(&format!("SELECT apikey_disable('{key}')"));
    let browser = Browser::of(&office, &office.ada, "en");
    let visit = || {
        for page in pages(&office, prefix) {
            browser.go(&page);
            assert_ne!(browser.title(), "run", "{page}");
            assert!(browser.all("main script, main img").is_empty(), "{page}");
            assert_eq!(browser.console_errors(), [""; 0], "{page}");
        }
    };
    visit();
    browser.go(&office.shim.admin_url("/keys"));
    browser.assert_reads(MARKUP);
    browser.go(&office.shim.admin_url(&format!("/keys/{prefix}")));
    assert_eq!(browser.value_of("[name=name]"), MARKUP);
    office.sql(&format!("SELECT apikey_revoke('{key}', '{quoted}')"));
    visit();
    let query: String = url::form_urlencoded::byte_serialize(MARKUP.as_bytes()).collect();
    browser.go(&office
        .shim
        .admin_url(&format!("/keys?q={query}&sort={query}&status={query}&owner={query}")));
    assert!(browser.all("main script, main img").is_empty());
    assert_ne!(browser.title(), "run");
}
