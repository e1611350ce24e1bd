//! French and English, by the browser's wish or by one's own.

use apikey_tests::Office;

#[test]
fn the_browsers_language_is_spoken() {
    let office = Office::open(&[]);
    for (wanted, spoken) in [
        ("fr-CH,fr;q=0.9,en;q=0.8", "fr"),
        ("en-GB,en;q=0.9", "en"),
        ("de,fr;q=0.9", "fr"),
        ("de,it;q=0.9", "en"),
    ] {
        let page = office.visitor_speaking(wanted).get("/sign-in").body;
        assert!(page.contains(&format!("<html lang=\"{spoken}\">")), "{wanted}: {page}");
    }
}

#[test]
fn a_switch_changes_it_and_it_stays() {
    let office = Office::open(&[]);
    let key = office.database.key("'event'");
    let mut ada = office.visitor_speaking("fr");
    assert_eq!(ada.sign_in(&office.ada).status(), 303);
    let page = format!("/keys/{}/events", &key[..8]);
    ada.get(&page);
    assert!(ada.page.contains("<html lang=\"fr\">") && ada.page.contains(">English</button>"));
    let back = ada.hidden("back");
    let answer = ada.post("/language", &[("lang", "en"), ("back", &back)]);
    assert_eq!((answer.status(), answer.header("location")), (303, Some(page.as_str())));
    assert!(ada.follow(&answer).body.contains("<html lang=\"en\">"));
    let out = ada.post("/sign-out", &[]);
    assert!(ada.follow(&out).body.contains("<html lang=\"en\">"));
    assert!(ada.page.contains(">Français</button>"));
    let answer = ada.post("/language", &[("lang", "fr"), ("back", "/sign-in")]);
    assert!(ada.follow(&answer).body.contains("<html lang=\"fr\">"));
}
