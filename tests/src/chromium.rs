//! The browser of the tests, and the programs that go with it.

use crate::program::{program, run};

/// For headless use, as root too, by a browser that is allowed no host but this one.
pub const CHROMIUM_FLAGS: &[&str] = &[
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
];

/// The browser's program: the one of `CHROMIUM=`, else the one that is installed.
pub fn chromium() -> String {
    named_or_installed("CHROMIUM", &["chromium", "google-chrome"])
}

/// The program that drives it by the WebDriver protocol; `CHROMEDRIVER=` names another.
pub fn chromedriver() -> String {
    named_or_installed("CHROMEDRIVER", &["chromedriver"])
}

fn named_or_installed(variable: &str, names: &[&str]) -> String {
    std::env::var(variable).unwrap_or_else(|_| {
        let mut paths = names
            .iter()
            .map(|name| run(&mut program("sh", &["-c", &format!("command -v {name}")])).stdout);
        let found = paths.find(|path| !path.is_empty());
        found
            .unwrap_or_else(|| panic!("install {}, or set {variable}=", names[0]))
            .trim()
            .to_owned()
    })
}
