//! What is taken for a key has exactly the shape of one.
#![no_main]

use apikey_core::Key;

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Some(key) = Key::parse(text) {
        let (prefix, secret) = text.split_once('.').expect("a key has a full stop");
        assert_eq!((key.prefix(), prefix.len(), secret.len()), (prefix, 8, 32));
        assert!((prefix.chars().chain(secret.chars())).all(|one| one.is_ascii_alphanumeric()));
        assert!(!format!("{key:?}").contains(secret));
    }
});
