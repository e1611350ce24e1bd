//! "Test a key": the keytest on a page, and for managers why a key is refused.

use crate::venue::Venue;

#[test]
fn a_manager_is_told_why_a_key_is_refused() {
    let venue = Venue::new(&[]);
    let key = venue.database.key("'event', ips => '{192.0.2.1}'");
    let browser = venue.browser_of("ada", "en");
    let outcome = |ip: &str| {
        browser.go(&venue.url("/test"));
        browser.write("key", &key);
        browser.write("ip", ip);
        browser.press("Test");
        let said = browser.text_of("main");
        // Not in the address, and not on the page.
        assert!(!browser.url().contains(&key[9..]) && !browser.source().contains(&key[9..]));
        said
    };
    let good = outcome("192.0.2.1");
    assert!(good.contains("\"ip_valid\":true"), "{good}");
    let elsewhere = outcome("192.0.2.2");
    assert!(elsewhere.contains("\"ip_valid\":false"), "{elsewhere}");
    venue.sql(&format!("SELECT apikey_revoke('{key}')"));
    let revoked = outcome("192.0.2.1");
    assert!(revoked.contains("revoked"), "{revoked}");
    venue.assert_not_logged(&key);
}
