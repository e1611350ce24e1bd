//! Nobody is kept out: axe-core's rules, on any page, in both languages, light and dark, and on a
//! phone.

use crate::browser::Browser;
use crate::pages::{furnish, pages};
use apikey_tests::Office;
use serde_json::Value;
use std::fs;

const AXE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/admin/node_modules/axe-core/axe.min.js");

impl Browser {
    /// What axe-core finds fault with on this page: rule, help, and where.
    pub fn barriers(&self) -> Vec<String> {
        let axe = fs::read_to_string(AXE).expect("axe-core: run scripts/setup test");
        // Of the rules that are not on by default, the size of what one taps.
        let run = "const done = arguments[0];
            axe.run({ rules: { 'target-size': { enabled: true } } })
               .then(result => done(result.violations), error => done([{ id: String(error), nodes: [] }]))";
        let script = format!("{axe};\n{run}");
        let found = self.runtime.block_on(self.client.execute_async(&script, vec![])).unwrap();
        let found = found.as_array().unwrap().iter();
        found.map(|fault| format!("{}: {} {}", fault["id"], fault["help"], places(fault))).collect()
    }
}

fn places(fault: &Value) -> String {
    let nodes = fault["nodes"].as_array().unwrap().iter();
    nodes.map(|node| format!("\n    {} {}", node["html"], node["failureSummary"])).collect()
}

#[test]
fn axe_finds_what_is_wrong_with_a_page() {
    let browser = Browser::new("en");
    browser.go("data:text/html,<p style='color:silver'>pale</p><img src='data:,'>");
    let found = browser.barriers().join("\n");
    for rule in ["color-contrast", "image-alt", "html-has-lang", "document-title"] {
        assert!(found.contains(rule), "{rule}: {found}");
    }
}

/// Each page as somebody meets it: also with mistakes, with a new key, and where there is nothing
/// to see.
fn each_page(language: &str, mut look: impl FnMut(&Browser, &str)) {
    let office = Office::open_preloaded(&[]);
    let prefix = furnish(&office);
    let stranger = Browser::new(language);
    stranger.go(&office.shim.admin_url("/sign-in"));
    look(&stranger, "/sign-in");
    stranger.write("role", "ada");
    stranger.write("password", "wrong");
    stranger.enter();
    look(&stranger, "/sign-in, refused");
    stranger.try_to_sign_in(&office, &office.stranger);
    look(&stranger, "/sign-in, without rights");

    let browser = Browser::of(&office, &office.ada, language);
    for page in pages(&office, &prefix) {
        browser.go(&page);
        look(&browser, &page);
    }
    for page in ["/nothing", "/keys/Nobody00", "/keys?page=9999"] {
        browser.go(&office.shim.admin_url(page));
        look(&browser, page);
    }
    browser.go(&office.shim.admin_url("/keys/new"));
    browser.write("ips", "10.0.0.0/33");
    browser.submit();
    look(&browser, "/keys/new, with mistakes");
    browser.write("name", "another");
    browser.write("ips", "");
    browser.click("[name=scope]");
    browser.click("[name=create_revoke]");
    browser.submit();
    look(&browser, "a new key");
    let page = office.shim.admin_url(&format!("/keys/{prefix}"));
    browser.go(&page);
    office.sql(&format!(
        "UPDATE apikey.key SET name = 'theirs' WHERE prefix = '{prefix}' RETURNING 1"
    ));
    browser.write("name", "mine");
    browser.submit();
    look(&browser, "a key that somebody else changed");
    browser.go(&office.shim.admin_url("/test"));
    browser.write("key", &office.database.key("'event'"));
    browser.submit();
    look(&browser, "/test, with an answer");
    office.sql(&format!("SELECT apikey_revoke('{prefix}', 'lost')"));
    browser.go(&page);
    look(&browser, "a revoked key");
}

fn no_barrier(language: &str) {
    let mut found = Vec::new();
    each_page(language, |browser, page| {
        for dark in [false, true] {
            browser.set_dark(dark);
            let scheme = if dark { "dark" } else { "light" };
            found.extend(
                browser.barriers().into_iter().map(|fault| format!("{page}, {scheme}: {fault}")),
            );
        }
        browser.set_dark(false);
    });
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn no_page_keeps_anybody_out_in_french() {
    no_barrier("fr");
}

#[test]
fn no_page_keeps_anybody_out_in_english() {
    no_barrier("en");
}

/// Nothing sticks out to the side of a phone, and nothing there is too small to tap.
#[test]
fn every_page_fits_a_phone() {
    let mut found = Vec::new();
    each_page("fr", |browser, page| {
        for width in [390, 320] {
            browser.set_size(width, 844);
            let wide = browser.script("return document.scrollingElement.scrollWidth");
            if wide.as_u64().unwrap() > u64::from(width) {
                found.push(format!(
                    "{page} is {wide} wide, of {width}: {}",
                    browser.what_sticks_out()
                ));
            }
        }
        found.extend(browser.barriers().into_iter().map(|fault| format!("{page}: {fault}")));
        browser.set_size(1000, 700);
    });
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// Neither scripts nor styles in a page, so that its policy can forbid them; and no page breaks its
/// policy.
#[test]
fn every_page_keeps_to_a_policy_without_inline_scripts_or_styles() {
    each_page("en", |browser, page| {
        let errors: Vec<_> = browser.console_errors();
        // An answer that is no 200 is noted there, too.
        let errors: Vec<_> =
            errors.iter().filter(|error| !error.contains("Failed to load resource")).collect();
        assert!(errors.is_empty(), "{page}: {errors:?}");
        let inline =
            "script:not([src]), style, [style], [onclick], [onload], a[href^='javascript:']";
        assert!(browser.all(inline).is_empty(), "{page}: {}", browser.source());
    });
}
