//! Sessions end, and what was being done is not lost without a word.

use crate::venue::Venue;
use apikey_tests::eventually;

#[test]
fn a_session_past_its_end_asks_to_sign_in_and_comes_back() {
    let venue = Venue::new(&["--admin-session-idle", "6s"]);
    let key = venue.database.key("'event'");
    let browser = venue.browser_of("ada", "en");
    let page = format!("/keys/{}", &key[..8]);
    browser.go(&venue.url(&page));
    std::thread::sleep(std::time::Duration::from_secs(7));
    browser.press("Disable");
    browser.assert_reads("session has ended");
    assert_eq!(venue.sql("SELECT status FROM apikeys"), "active");
    browser.write("role", "ada");
    browser.write("password", "correct horse");
    browser.press("Sign in");
    browser.assert_path(&page);
}

/// However often it is used.
#[test]
fn a_session_has_an_end_in_any_case() {
    let venue = Venue::new(&["--admin-session-total", "4s"]);
    let browser = venue.browser_of("ada", "en");
    eventually("the session ends", || {
        browser.reload();
        browser.path().starts_with("/sign-in")
    });
    browser.assert_reads("session has ended");
}

#[test]
fn whoever_has_another_password_since_signs_in_again() {
    let venue = Venue::new(&[]);
    let browser = venue.browser_of("bob", "en");
    venue.database.superuser().batch_execute(
        "ALTER ROLE bob PASSWORD 'another'; SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'bob'",
    ).unwrap();
    eventually("the session ends", || {
        browser.reload();
        browser.path().starts_with("/sign-in")
    });
    browser.assert_reads("no longer lets your role in");
}

/// Ten wrong passwords, and the right one is not even tried.
#[test]
fn guessing_passwords_is_slowed_down() {
    let venue = Venue::new(&[]);
    let browser = crate::browser::Browser::new("en");
    browser.go(&venue.url("/sign-in"));
    for _ in 0..10 {
        browser.write("role", "ada");
        browser.write("password", "a wrong password");
        browser.press("Sign in");
    }
    browser.write("role", "ada");
    browser.write("password", "correct horse");
    browser.press("Sign in");
    browser.assert_path("/sign-in");
    browser.assert_reads("Too many");
}
