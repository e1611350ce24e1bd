//! A key that is changed, also by two people at once.

use crate::venue::Venue;

#[test]
fn two_people_edit_one_key_and_neither_loses_work_silently() {
    let venue = Venue::new(&[]);
    let key = venue.database.key("'event', ips => '{192.0.2.1}'");
    let page = venue.url(&format!("/keys/{}", &key[..8]));
    let (ada, bob) = (venue.browser_of("ada", "en"), venue.browser_of("bob", "en"));
    ada.go(&page);
    bob.go(&page);
    ada.write("name", "Ada's name");
    ada.press("Save");
    assert_eq!(venue.sql("SELECT name FROM apikey.key"), "Ada's name");

    // Bob saw the key as it was before.
    bob.write("name", "Bob's name");
    bob.write("ips", "198.51.100.0/24");
    bob.press("Save");
    assert_eq!(venue.sql("SELECT name FROM apikey.key"), "Ada's name");
    assert_eq!(venue.sql("SELECT allowed_ips FROM apikey.key"), "{192.0.2.1}");
    bob.assert_reads("Ada's name");
    assert_eq!(bob.value_of("[name=name]"), "Bob's name");
    assert_eq!(bob.value_of("[name=ips]"), "198.51.100.0/24");

    // Now he knows, and it is his decision.
    bob.press("Save");
    assert_eq!(venue.sql("SELECT name FROM apikey.key"), "Bob's name");
    assert_eq!(venue.sql("SELECT allowed_ips FROM apikey.key"), "{198.51.100.0/24}");
    let trail = "SELECT string_agg(session_role, ' ' ORDER BY at) FROM apikey_events WHERE action = 'change'";
    assert_eq!(venue.sql(trail), "ada bob");
}

#[test]
fn who_edits_a_key_that_was_revoked_meanwhile_is_told() {
    let venue = Venue::new(&[]);
    let key = venue.database.key("'event'");
    let browser = venue.browser_of("ada", "en");
    browser.go(&venue.url(&format!("/keys/{}", &key[..8])));
    venue.sql(&format!("SELECT apikey_revoke('{key}', 'laptop stolen')"));
    browser.write("name", "another name");
    browser.press("Save");
    browser.assert_reads("laptop stolen");
    assert_ne!(venue.sql("SELECT name FROM apikey.key"), "another name");
}

#[test]
fn what_is_wrong_is_said_beside_its_field_and_nothing_typed_is_lost() {
    let venue = Venue::new(&[]);
    let browser = venue.browser_of("ada", "en");
    browser.go(&venue.url("/keys/new"));
    browser.write("ips", "10.0.0.0/33");
    browser.write("auth", "event");
    browser.tick("Create / Revoke");
    browser.press("Save");
    assert!(browser.text_of("#ips-error").contains("10.0.0.0/33"));
    assert!(!browser.text_of("#name-error").is_empty());
    assert_eq!(browser.value_of("[name=ips]"), "10.0.0.0/33");
    assert!(browser.is_ticked("Create / Revoke"));
    browser.write("ips", "10.0.0.0/8\n2001:db8::/32");
    browser.write("name", "box office");
    browser.press("Save");
    assert_eq!(browser.text_of("#new-key").len(), 41);
    assert_eq!(venue.sql("SELECT allowed_ips FROM apikey.key"), "{10.0.0.0/8,2001:db8::/32}");
}

/// Where the DBA keeps the scopes, one chooses among them.
#[test]
fn known_scopes_are_boxes_to_tick() {
    let venue = Venue::new(&[]);
    venue.database.superuser().batch_execute(
        "INSERT INTO apikey.scope VALUES ('event', 'See events'), ('ticket', 'Sell tickets'), ('till', 'Open the till')",
    ).unwrap();
    let browser = venue.browser_of("ada", "en");
    browser.go(&venue.url("/keys/new"));
    browser.write("name", "box office");
    browser.tick("event See events");
    browser.tick("ticket Sell tickets");
    browser.tick("Create / Revoke");
    browser.press("Save");
    assert_eq!(venue.sql("SELECT auth FROM apikey.key"), r#"["event", "ticket"]"#);
}

#[test]
fn a_key_is_rotated_disabled_enabled_and_revoked() {
    let venue = Venue::new(&[]);
    let old = venue.database.key("'event'");
    let browser = venue.browser_of("ada", "en");
    let page = venue.url(&format!("/keys/{}", &old[..8]));
    browser.go(&page);
    browser.press("Disable");
    assert_eq!(venue.sql("SELECT status FROM apikeys"), "disabled");
    browser.press("Enable");
    assert_eq!(venue.sql("SELECT status FROM apikeys"), "active");
    browser.choose("The old key stays valid for", "1 day");
    browser.press("Rotate");
    let new = browser.text_of("#new-key");
    for key in [&old, &new] {
        assert!(venue.keytest(key).success().contains(r#""ip_valid":true"#), "both in the grace");
    }
    browser.reload();
    assert_eq!(venue.number_of_keys(), "2");
    browser.go(&venue.url(&format!("/keys/{}", &new[..8])));
    browser.write("reason", "laptop stolen");
    browser.press("Revoke");
    let prefix = &new[..8];
    let reason = format!("SELECT revoke_reason FROM apikey.key WHERE prefix = '{prefix}'");
    assert_eq!(venue.sql(&reason), "laptop stolen");
    assert!(venue.keytest(&new).success().contains(r#""status":401"#));
    browser.go(&venue.url(&format!("/keys/{prefix}/events")));
    browser.assert_reads("laptop stolen");
}
