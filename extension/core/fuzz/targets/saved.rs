//! No bytes are taken for saved proofs unless they were saved: what is restored is what was
//! written.
#![no_main]

libfuzzer_sys::fuzz_target!(|saved: &[u8]| {
    assert!(apikey_core::restore(saved).is_none(), "a checksum of 128 bits was guessed");
});
