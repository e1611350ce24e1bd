//! Without a mouse, and in the order that the page is read in.

use crate::browser::Browser;
use apikey_tests::Office;

const TAB: &str = "\u{e004}";
const ENTER: &str = "\u{e007}";
const SPACE: &str = " ";

/// Goes on with the tab key until this has the focus.
#[track_caller]
fn tab_to(browser: &Browser, name: &str) {
    let mut passed = Vec::new();
    for _ in 0..40 {
        let focus = browser.focus();
        if focus == name {
            assert!(browser.focus_is_visible(), "nothing shows that {name} has the focus");
            return;
        }
        passed.push(focus);
        browser.keys(TAB);
    }
    panic!("{name} is not among {passed:?}");
}

#[test]
fn a_key_is_added_by_keyboard_alone() {
    let office = Office::open(&[]);
    let browser = Browser::new("fr");
    browser.go(&office.shim.admin_url("/"));
    assert_eq!(browser.focus(), "Rôle", "the first field is where one types");
    browser.keys("ada");
    browser.keys(TAB);
    browser.keys("correct horse");
    browser.enter();
    browser.assert_path("/keys");

    tab_to(&browser, "AJOUTER API KEY");
    browser.enter();
    tab_to(&browser, "Nom");
    browser.keys("cashless");
    tab_to(&browser, "Niveau d’autorisation");
    browser.keys("event");
    tab_to(&browser, "IP source des requêtes");
    browser.keys("127.0.0.1");
    tab_to(&browser, "Créer / Révoquer");
    browser.keys(SPACE);
    tab_to(&browser, "Enregistrer");
    browser.enter();
    let key = browser.text_of("#new-key");
    assert!(office.keytest(&key).success().contains(r#""ip_valid":true"#));
}

#[test]
fn the_first_tab_skips_the_menu() {
    let office = Office::open(&[]);
    let browser = Browser::of(&office, &office.ada, "fr");
    browser.go(&office.shim.admin_url("/keys/new"));
    browser.keys(TAB);
    assert_eq!(browser.focus(), "Aller au contenu");
    browser.keys(ENTER);
    browser.keys(TAB);
    assert_eq!(browser.focus(), "Nom");
}
