//! No text is a verifier of the published key, unless it was made from it: neither text of its own,
//! nor a real verifier of any form with a piece of it replaced.
#![no_main]

use apikey_core::{Argon2Params, Block, is_current, verify};
use apikey_format::Key;

const KEY: &str = "Map0K71T.rcs82Q66NuCUCuyTmnjVhmwhfl0VnOsW";

/// One of each form that is accepted, as cheap as it can be.
const REAL: [&str; 4] = [
    "$argon2id$v=19$m=64,t=1,p=1$c2Vhc2FsdHNlYXNhbHQ$DGbFQDu6NspvfTFDxVkCxKVWd1YRuxGL1UJ0UaDg+QY",
    "argon2$argon2id$v=19$m=64,t=1,p=1$c2Vhc2FsdHNlYXNhbHQ$DGbFQDu6NspvfTFDxVkCxKVWd1YRuxGL1UJ0UaDg+QY",
    "pbkdf2_sha256$3$seasalt$9TKwh2C2rsRSYMTvqQyGaTVt3lBVncmokg6T8J8yAiA=",
    "sha512$$7ce0c593bc9f8205f029cb45423ca8c5eb451531393fe9536d5cb5814133b13f1b7cbbf93b7bc39f73942448fa419b37f3d9bdce3bf5bd789b65062774b8c0ed",
];

libfuzzer_sys::fuzz_target!(|input: (u8, u8, u8, &str)| {
    let (real, from, length, text) = input;
    try_one(text);
    let real = REAL[usize::from(real) % REAL.len()];
    let from = usize::from(from) % (real.len() + 1);
    let to = (from + usize::from(length)).min(real.len());
    let mut damaged = real.to_owned();
    damaged.replace_range(from..to, text);
    if !REAL.contains(&damaged.as_str()) {
        try_one(&damaged);
    }
});

fn try_one(verifier: &str) {
    // The costs stand before the last two fields, salt and hash. Those of four digits and more are
    // legal, and would only make the fuzzer wait.
    let costs = verifier.rsplitn(3, '$').nth(2).unwrap_or_default();
    if costs.split(|one: char| !one.is_ascii_digit()).any(|number| number.len() > 3) {
        return;
    }
    let key = Key::parse(KEY).expect("the published key is a key");
    let allocate = |blocks| Some(vec![Block::default(); blocks]);
    assert_ne!(verify(key, verifier, allocate), Ok(true), "{verifier}");
    is_current(verifier, Argon2Params::DEFAULT);
}
