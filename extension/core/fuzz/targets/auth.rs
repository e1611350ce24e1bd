//! An `auth` is written as it was read, and grants no scope that it does not name.
#![no_main]

use apikey_core::Auth;

libfuzzer_sys::fuzz_target!(|texts: (&str, &str)| {
    let (json, scope) = texts;
    let Ok(auth) = json.parse::<Auth>() else { return };
    let written = serde_json::to_string(&auth).expect("an auth is JSON");
    assert_eq!(written.parse(), Ok(auth.clone()));
    let named = serde_json::to_string(scope).expect("a string is JSON");
    assert!(!auth.grants(scope) || written.contains(&named));
});
