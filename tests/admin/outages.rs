//! The database away and back, under somebody who is signed in.

use crate::venue::Venue;
use apikey_tests::eventually;

#[test]
fn the_database_goes_away_and_comes_back_while_signed_in() {
    let venue = Venue::new(&["--request-timeout", "3s"]);
    let key = venue.database.key("'event'");
    let browser = venue.browser_of("ada", "en");
    let page = venue.url(&format!("/keys/{}", &key[..8]));
    browser.go(&page);
    browser.write("name", "a new name");
    venue.database.cluster.stop();
    browser.press("Save");
    browser.assert_reads("The database cannot be reached");
    assert!(venue.curl("/keys", &["-H", &cookie(&browser)]).starts_with("HTTP/1.1 503"));
    for detail in ["127.0.0.1", "refused", "os error"] {
        assert!(!browser.text().contains(detail), "{}", browser.text());
    }

    venue.database.cluster.start();
    // The browser has what was typed, and sends it again.
    eventually("the form is taken", || {
        browser.reload();
        venue.sql("SELECT name FROM apikey.key") == "a new name"
    });
    browser.go(&venue.url("/keys"));
    browser.assert_path("/keys");
    browser.assert_reads("a new name");
}

/// Postgres ended the connection, as an administrator may.
#[test]
fn a_connection_that_was_ended_is_opened_again() {
    let venue = Venue::new(&[]);
    let browser = venue.browser_of("ada", "en");
    for _ in 0..3 {
        venue.sql(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'ada'",
        );
        browser.reload();
        browser.assert_path("/keys");
        browser.assert_reads("ADD API KEY");
    }
}

fn cookie(browser: &crate::browser::Browser) -> String {
    let cookies = browser.cookies();
    let pairs: Vec<_> =
        cookies.iter().map(|cookie| format!("{}={}", cookie.name(), cookie.value())).collect();
    format!("Cookie: {}", pairs.join("; "))
}
