//! The published guide, step by step: from the menu to a key that works.

use crate::browser::Browser;
use crate::venue::Venue;
use apikey_tests::eventually;
use serde_json::json;

/// What is written on the page, in one language.
struct Words {
    language: &'static str,
    menu: &'static str,
    add: &'static str,
    name: &'static str,
    level: &'static str,
    addresses: &'static str,
    create_revoke: &'static str,
    save: &'static str,
    shown_once: &'static str,
}

const FRENCH: Words = Words {
    language: "fr",
    menu: "Api Keys",
    add: "AJOUTER API KEY",
    name: "Nom",
    level: "Niveau d’autorisation",
    addresses: "IP source des requêtes",
    create_revoke: "Créer / Révoquer",
    save: "Enregistrer",
    shown_once: "ne sera plus affichée",
};

const ENGLISH: Words = Words {
    language: "en",
    menu: "Api Keys",
    add: "ADD API KEY",
    name: "Name",
    level: "Authorisation level",
    addresses: "Source IP of requests",
    create_revoke: "Create / Revoke",
    save: "Save",
    shown_once: "not shown again",
};

/// What the guide says, up to the banner with the key.
fn follow(browser: &Browser, words: &Words, address: &str) -> String {
    browser.press(words.menu);
    browser.press(words.add);
    browser.fill(words.name, "cashless");
    browser.fill(words.level, "event");
    browser.fill(words.addresses, address);
    browser.tick(words.create_revoke);
    browser.press(words.save);
    browser.assert_reads(words.shown_once);
    browser.text_of("#new-key")
}

fn guide(words: &Words) {
    let venue = Venue::new(&[]);
    let browser = venue.browser_of("ada", words.language);
    assert_eq!(browser.attribute("html", "lang"), words.language);
    let key = follow(&browser, words, "127.0.0.1");

    let answer = venue.keytest(&key).success();
    assert_eq!(answer, r#"{"auth":"event","ip_request":"127.0.0.1","ip_valid":true}"#);
    assert_eq!(venue.sql("SELECT created_by FROM apikey.key"), "ada");
    venue.assert_not_logged(&key);
    assert_eq!(browser.console_errors(), [""; 0]);
}

#[test]
fn in_french() {
    guide(&FRENCH);
}

#[test]
fn in_english() {
    guide(&ENGLISH);
}

#[test]
fn a_key_for_another_address_says_so() {
    let venue = Venue::new(&[]);
    let browser = venue.browser_of("ada", "fr");
    let key = follow(&browser, &FRENCH, "192.0.2.7");
    let answer = venue.keytest(&key).success();
    assert_eq!(answer, r#"{"auth":"event","ip_request":"127.0.0.1","ip_valid":false}"#);
}

#[test]
fn without_scripts() {
    let venue = Venue::new(&[]);
    let browser = Browser::new("fr");
    browser.stop_scripts();
    venue.sign_in(&browser, "ada");
    let key = follow(&browser, &FRENCH, "127.0.0.1");
    // A button that would do nothing is not there.
    assert!(!browser.text().contains("Copier"), "{}", browser.text());
    assert!(venue.keytest(&key).success().contains(r#""ip_valid":true"#));
}

/// Neither by a reload, nor by the way back, nor anywhere else.
#[test]
fn the_key_is_shown_once_and_made_once() {
    let venue = Venue::new(&[]);
    let browser = venue.browser_of("ada", "fr");
    let key = follow(&browser, &FRENCH, "127.0.0.1");
    let prefix = &key[..8];
    assert!(!browser.url().contains(prefix), "{}", browser.url());

    // The browser sends the form once more.
    browser.reload();
    assert!(!browser.source().contains(&key[9..]));
    assert_eq!(venue.number_of_keys(), "1");
    browser.back();
    browser.forward();
    assert!(!browser.source().contains(&key[9..]));
    for page in venue.pages(prefix) {
        browser.go(&page);
        assert!(!browser.source().contains(&key[9..]), "{page}");
    }
    assert_eq!(venue.number_of_keys(), "1");
    let kept = "return JSON.stringify([localStorage, sessionStorage, document.cookie])";
    assert_eq!(browser.script(kept), json!("[{},{},\"\"]"));
    assert!(!venue.database.client_program("pg_dump", &[]).success().contains(&key[9..]));
}

/// Browsers keep whole pages, to show them on the way back.
#[test]
fn the_way_back_does_not_show_the_key_again() {
    let venue = Venue::new(&[]);
    let browser = venue.browser_of("ada", "fr");
    let key = follow(&browser, &FRENCH, "127.0.0.1");
    browser.press("Vers la liste");
    browser.back();
    eventually("the key is gone", || !browser.source().contains(&key[9..]));
    assert_eq!(venue.number_of_keys(), "1");
}

#[test]
fn the_copy_button_copies_the_key() {
    let venue = Venue::new(&[]);
    let browser = venue.browser_of("ada", "fr");
    browser.allow_clipboard(&venue.url("/"));
    let key = follow(&browser, &FRENCH, "127.0.0.1");
    browser.press_here("Copier");
    browser.eventually_reads("Copiée.");
    assert_eq!(browser.clipboard(), key);
}

/// The box of a live key revokes it.
#[test]
fn the_box_of_a_live_key_revokes_it() {
    let venue = Venue::new(&[]);
    let browser = venue.browser_of("ada", "fr");
    let key = follow(&browser, &FRENCH, "127.0.0.1");
    browser.press("Api Keys");
    browser.press("cashless");
    assert!(!browser.is_ticked("Créer / Révoquer"), "it is a button, not a state");
    browser.press("Enregistrer");
    assert!(venue.keytest(&key).success().contains("ip_valid"));
    browser.tick("Créer / Révoquer");
    browser.press("Enregistrer");
    assert_eq!(venue.sql("SELECT status FROM apikeys"), "revoked");
    assert_eq!(venue.sql("SELECT revoked_by FROM apikey.key"), "ada");
    assert!(venue.keytest(&key).success().contains(r#""status":401"#));
}

/// A box that is not ticked on a new key makes none, and nothing that was typed is lost.
#[test]
fn without_the_box_no_key_is_made() {
    let venue = Venue::new(&[]);
    let browser = venue.browser_of("ada", "fr");
    browser.press(FRENCH.add);
    browser.fill(FRENCH.name, "cashless");
    browser.fill(FRENCH.level, "event");
    browser.press(FRENCH.save);
    assert_eq!(venue.number_of_keys(), "0");
    assert_eq!(browser.value_of("[name=name]"), "cashless");
    browser.tick(FRENCH.create_revoke);
    browser.press(FRENCH.save);
    assert_eq!(browser.text_of("#new-key").len(), 41);
}
