//! French and English, by the browser's wish or by one's own.

use crate::browser::Browser;
use crate::venue::Venue;

#[test]
fn the_browsers_language_is_spoken() {
    let venue = Venue::new(&[]);
    for (wanted, spoken) in
        [("fr-CH,fr,en", "fr"), ("en-GB", "en"), ("de,fr", "fr"), ("de,it", "en")]
    {
        let browser = Browser::new(wanted);
        browser.go(&venue.url("/sign-in"));
        assert_eq!(browser.attribute("html", "lang"), spoken, "{wanted}");
    }
}

#[test]
fn a_switch_changes_it_and_it_stays() {
    let venue = Venue::new(&[]);
    let key = venue.database.key("'event'");
    let browser = venue.browser_of("ada", "fr");
    let page = format!("/keys/{}/events", &key[..8]);
    browser.go(&venue.url(&page));
    browser.press("English");
    browser.assert_path(&page);
    assert_eq!(browser.attribute("html", "lang"), "en");
    browser.press("Sign out");
    assert_eq!(browser.attribute("html", "lang"), "en");
    browser.press("Français");
    assert_eq!(browser.attribute("html", "lang"), "fr");
}
