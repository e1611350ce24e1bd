//! `make screenshots`: each page in both languages and both schemes, for the README and
//! docs/admin.md. Not a test: it asserts nothing but that the pages are there.

use crate::browser::Browser;
use crate::pages::furnish;
use apikey_tests::Office;
use base64::Engine;
use serde_json::json;
use std::path::Path;

const LARGEST: u64 = 60_000;

impl Browser {
    /// What the window shows, as a picture that is small.
    fn photograph(&self, file: &Path) {
        let options = json!({ "format": "webp", "quality": 60 });
        let shot = self.devtools("Page.captureScreenshot", options);
        let data = shot["data"].as_str().unwrap();
        let bytes = base64::engine::general_purpose::STANDARD.decode(data).unwrap();
        std::fs::write(file, bytes).unwrap();
    }
}

/// Into the directory of `APIKEY_SCREENSHOTS`.
#[test]
#[ignore = "run by scripts/screenshots"]
fn screenshots() {
    let directory = apikey_tests::from_test_script("APIKEY_SCREENSHOTS");
    for language in ["fr", "en"] {
        let office = Office::open_preloaded(&[]);
        let prefix = furnish(&office);
        let key = office.sql("SELECT apikey_create('Kiosk', 'event', '192.0.2.1')");
        let browser = Browser::new(language);
        let shoot = |name: &str, height: u32| {
            browser.set_size(if name == "phone" { 390 } else { 1000 }, height);
            browser.script("document.body.scrollIntoView()");
            for dark in [false, true] {
                browser.set_dark(dark);
                let scheme = if dark { "dark" } else { "light" };
                let file = format!("{directory}/admin-{name}-{language}-{scheme}.webp");
                browser.photograph(Path::new(&file));
                let size = std::fs::metadata(&file).unwrap().len();
                assert!(size < LARGEST, "{file} has {size} bytes");
            }
        };
        browser.go(&office.shim.admin_url("/sign-in"));
        shoot("sign-in", 540);
        browser.sign_in(&office, &office.ada);
        shoot("list", 700);
        browser.go(&office.shim.admin_url("/keys/new"));
        browser.write("name", "Guichet");
        browser.click("[name=scope][value=event]");
        browser.write("ips", "12.34.56.78");
        browser.click("[name=create_revoke]");
        shoot("add", 940);
        browser.submit();
        shoot("new-key", 540);
        browser.go(&office.shim.admin_url(&format!("/keys/{prefix}")));
        shoot("key", 700);
        browser.go(&office.shim.admin_url(&format!("/keys/{prefix}/events")));
        shoot("key-trail", 420);
        browser.go(&office.shim.admin_url("/events"));
        shoot("trail", 700);
        browser.go(&office.shim.admin_url("/test"));
        browser.write("key", &key);
        browser.write("ip", "192.0.2.2");
        browser.submit();
        shoot("test", 700);
        browser.go(&office.shim.admin_url("/keys"));
        shoot("phone", 844);
    }
}
