//! No text is a verifier of the published key, unless it was made from it.
#![no_main]

use apikey_core::{Key, verify};

const KEY: &str = "Map0K71T.rcs82Q66NuCUCuyTmnjVhmwhfl0VnOsW";

libfuzzer_sys::fuzz_target!(|verifier: &str| {
    // Costs of four digits and more are legal, and would only make the fuzzer wait.
    if verifier.split(|one: char| !one.is_ascii_digit()).any(|number| number.len() > 3) {
        return;
    }
    let key = Key::parse(KEY).expect("the published key is a key");
    assert_ne!(verify(key, verifier), Ok(true), "{verifier}");
});
