//! What is taken for a key has exactly the shape of one.
#![no_main]

use apikey_format::Key;

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Some(key) = Key::parse(text) {
        let (prefix, secret) = text.split_once('.').expect("a key has a full stop");
        assert_eq!(key.prefix(), prefix);
        let is_among = |text: &str, more: &str| {
            text.chars().all(|one| one.is_ascii_alphanumeric() || more.contains(one))
        };
        assert!((1..=8).contains(&prefix.len()) && is_among(prefix, "-_"));
        assert!((1..=128).contains(&secret.len()) && is_among(secret.trim_end_matches('='), "-_.~+/"));
        let has_lengths = (prefix.len(), secret.len()) == (8, 32);
        let is_generated = has_lengths && is_among(prefix, "") && is_among(secret, "");
        assert_eq!(key.is_generated(), is_generated);
        assert_eq!(format!("{key:?}"), format!("Key({prefix}.…)"));
    }
});
