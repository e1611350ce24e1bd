//! The published guide, step by step: from the menu to a key that works.

use crate::browser::Browser;
use crate::pages::pages;
use apikey_tests::{Office, eventually};
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
    shown_once: "cannot be shown again",
};

const KEYS: &str = "SELECT count(*) FROM apikey.key";

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
    let office = Office::open(&[]);
    let browser = Browser::of(&office, &office.ada, words.language);
    assert_eq!(browser.attribute("html", "lang"), words.language);
    let key = follow(&browser, words, "127.0.0.1");

    let answer = office.keytest(&key).success();
    assert_eq!(answer, r#"{"auth":"event","ip_request":"127.0.0.1","ip_valid":true}"#);
    assert_eq!(office.sql("SELECT created_by FROM apikey.key"), "ada");
    office.assert_not_logged(&key);
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
fn without_scripts() {
    let office = Office::open(&[]);
    let browser = Browser::new("fr");
    browser.stop_scripts();
    browser.sign_in(&office, &office.ada);
    let key = follow(&browser, &FRENCH, "127.0.0.1");
    // A button that would do nothing is not there.
    assert!(!browser.text().contains("Copier"), "{}", browser.text());
    assert!(office.keytest(&key).success().contains(r#""ip_valid":true"#));
}

/// Neither by a reload, nor by the way back, nor anywhere else.
#[test]
fn the_key_is_shown_once_and_made_once() {
    let office = Office::open(&[]);
    let browser = Browser::of(&office, &office.ada, "fr");
    let key = follow(&browser, &FRENCH, "127.0.0.1");
    let prefix = &key[..8];
    assert!(!browser.url().contains(prefix), "{}", browser.url());

    // The browser sends the form once more.
    browser.reload();
    assert!(!browser.source().contains(&key[9..]));
    assert_eq!(office.sql(KEYS), "1");
    browser.back();
    browser.forward();
    assert!(!browser.source().contains(&key[9..]));
    for page in pages(&office, prefix) {
        browser.go(&page);
        assert!(!browser.source().contains(&key[9..]), "{page}");
    }
    assert_eq!(office.sql(KEYS), "1");
    let kept = "return JSON.stringify([localStorage, sessionStorage, document.cookie])";
    assert_eq!(browser.script(kept), json!("[{},{},\"\"]"));
    assert!(!office.database.client_program("pg_dump", &[]).success().contains(&key[9..]));
}

/// Browsers keep whole pages, to show them on the way back.
#[test]
fn the_way_back_does_not_show_the_key_again() {
    let office = Office::open(&[]);
    let browser = Browser::of(&office, &office.ada, "fr");
    let key = follow(&browser, &FRENCH, "127.0.0.1");
    browser.press("Vers la liste");
    browser.back();
    eventually("the key is gone", || !browser.source().contains(&key[9..]));
    assert_eq!(office.sql(KEYS), "1");
}

#[test]
fn the_copy_button_copies_the_key() {
    let office = Office::open(&[]);
    let browser = Browser::of(&office, &office.ada, "fr");
    browser.allow_clipboard(&office.shim.admin_url("/"));
    let key = follow(&browser, &FRENCH, "127.0.0.1");
    browser.press_here("Copier");
    browser.eventually_reads("Copiée.");
    assert_eq!(browser.clipboard(), key);
}
