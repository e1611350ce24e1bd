//! What djangorestframework-api-key stored, accepted as it is. Each form is checked as Django does
//! it: the key is encoded once more, and the two encodings are compared.
//!
//! * `sha512$$HEX`, from 3.0 on: SHA-512 without a salt, which a secret of 190 random bits can do
//!   without.
//! * `pbkdf2_sha256$ITERATIONS$SALT$BASE64`, before 3.0: Django's default for passwords.
//!
//! `argon2$argon2id$…` is a PHC string under another name, and is left to `phc`.

use super::VerifyError;
use apikey_format::Key;
use base64ct::{Base64, Encoding};
use ctutils::CtEq;
use sha2::{Digest, Sha256, Sha512};
use std::fmt::Write;

/// Five times what Django 5.2 does (1,000,000, some 0.3 s); each release adds about a fifth.
const MAX_ITERATIONS: u32 = 5_000_000;
const MAX_SALT_LENGTH: usize = 128;

const SHA256_LENGTH: usize = 32;
const SHA256_IN_BASE64: usize = 44;
const SHA512_IN_HEX: usize = 128;

/// `rest` is what follows `sha512$`: an empty salt and lower-case hexadecimal.
pub(super) fn verify_sha512(key: Key<'_>, rest: &str) -> Result<bool, VerifyError> {
    let stored = rest.strip_prefix('$').ok_or(VerifyError::UnusableVerifier)?;
    if stored.len() != SHA512_IN_HEX || !stored.bytes().all(is_lower_hex) {
        return Err(VerifyError::UnusableVerifier);
    }
    let mut encoded = String::with_capacity(SHA512_IN_HEX);
    for byte in Sha512::digest(key.as_bytes()) {
        let _ = write!(encoded, "{byte:02x}"); // a String takes whatever is written
    }
    Ok(encoded.as_bytes().ct_eq(stored.as_bytes()).into())
}

/// `rest` is what follows `pbkdf2_sha256$`. The salt is used as the text that it is, and not
/// decoded.
pub(super) fn verify_pbkdf2(key: Key<'_>, rest: &str) -> Result<bool, VerifyError> {
    let mut fields = rest.split('$');
    let (Some(iterations), Some(salt), Some(stored), None) =
        (fields.next(), fields.next(), fields.next(), fields.next())
    else {
        return Err(VerifyError::UnusableVerifier);
    };
    let iterations = bounded(iterations).ok_or(VerifyError::UnusableVerifier)?;
    if salt.is_empty() || salt.len() > MAX_SALT_LENGTH || stored.len() != SHA256_IN_BASE64 {
        return Err(VerifyError::UnusableVerifier);
    }
    let hash = pbkdf2::pbkdf2_hmac_array::<Sha256, SHA256_LENGTH>(
        key.as_bytes(),
        salt.as_bytes(),
        iterations,
    );
    let mut buffer = [0; SHA256_IN_BASE64];
    let encoded = Base64::encode(&hash, &mut buffer).map_err(|_| VerifyError::UnusableVerifier)?;
    Ok(encoded.as_bytes().ct_eq(stored.as_bytes()).into())
}

/// A number of iterations as Django writes it: digits alone, the first of them not 0.
fn bounded(iterations: &str) -> Option<u32> {
    if !iterations.starts_with(|first: char| matches!(first, '1'..='9')) {
        return None;
    }
    iterations.parse().ok().filter(|&number| number <= MAX_ITERATIONS)
}

fn is_lower_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

#[cfg(test)]
mod tests {
    use super::super::tests::{KEY, OTHER, check};
    use super::*;
    use proptest::prelude::*;

    // Made by djangorestframework-api-key 3.1.0 on Django 5.2.19, after django.setup(), for the key
    // of the tests:

    /// `rest_framework_api_key.crypto.KeyGenerator().hash(KEY)`
    const SHA512: &str = "sha512$$7ce0c593bc9f8205f029cb45423ca8c5eb451531393fe9536d5cb5814133b13f\
        1b7cbbf93b7bc39f73942448fa419b37f3d9bdce3bf5bd789b65062774b8c0ed";
    /// `django.contrib.auth.hashers.make_password(KEY, hasher="pbkdf2_sha256")`
    const PBKDF2: &str = "pbkdf2_sha256$1000000$mYSaCMz32snIYU18ks3tIJ$\
        zsGqT4nKxcx9nxlvDo8EyT0LB/KWFOpsRjymUEEsYic=";
    /// `PBKDF2PasswordHasher().encode(KEY, "seasalt", iterations=3)`
    const CHEAP_PBKDF2: &str =
        "pbkdf2_sha256$3$seasalt$9TKwh2C2rsRSYMTvqQyGaTVt3lBVncmokg6T8J8yAiA=";
    /// `make_password(KEY, hasher="argon2")`
    const ARGON2: &str = "argon2$argon2id$v=19$m=102400,t=2,p=8$\
        VTVGbmNjellqQjUwSDZmV0JqbTRlaQ$Sdqx+G3PN4CnqcPQeT6a7AoJEw+x3PSviIkVeF2Fgic";
    /// `Argon2PasswordHasher` with `memory_cost` 64, `time_cost` 1 and `parallelism` 1:
    /// `.encode(KEY, "seasaltseasalt")`
    const CHEAP_ARGON2: &str = "argon2$argon2id$v=19$m=64,t=1,p=1$\
        c2Vhc2FsdHNlYXNhbHQ$DGbFQDu6NspvfTFDxVkCxKVWd1YRuxGL1UJ0UaDg+QY";

    const CHEAP: [&str; 3] = [SHA512, CHEAP_PBKDF2, CHEAP_ARGON2];

    #[test]
    fn what_django_stores_by_default_is_understood() {
        for verifier in [SHA512, PBKDF2, ARGON2] {
            assert_eq!(check(KEY, verifier), Ok(true), "{verifier}");
        }
    }

    #[test]
    fn another_key_does_not_match() {
        for verifier in CHEAP {
            assert_eq!(check(KEY, verifier), Ok(true), "{verifier}");
            assert_eq!(check(OTHER, verifier), Ok(false), "{verifier}");
        }
    }

    #[test]
    fn costs_out_of_bounds_are_refused_before_the_work_is_done() {
        let (name, tail) =
            ("pbkdf2_sha256", "seasalt$9TKwh2C2rsRSYMTvqQyGaTVt3lBVncmokg6T8J8yAiA=");
        for iterations in
            ["0", "", "-1", "+3", " 3", "03", "3.0", "5000001", "4294967295", "4294967299", "٣"]
        {
            let verifier = format!("{name}${iterations}${tail}");
            assert_eq!(check(KEY, &verifier), Err(VerifyError::UnusableVerifier), "{verifier}");
        }
        assert_eq!(bounded("5000000"), Some(5_000_000));
        let costly = CHEAP_ARGON2.replace("m=64", "m=262145");
        assert_eq!(check(KEY, &costly), Err(VerifyError::UnusableVerifier));
    }

    /// `PBKDF2PasswordHasher().encode(KEY, "s" * 128, iterations=1)`
    #[test]
    fn the_longest_salt_is_understood() {
        let salt = "s".repeat(MAX_SALT_LENGTH);
        let verifier =
            format!("pbkdf2_sha256$1${salt}$LRsDPzu39xkXpNUdUS0JD3Loq1sUYllK8OvNMS4wte8=");
        assert_eq!(check(KEY, &verifier), Ok(true));
    }

    #[test]
    fn malformed_ones_are_refused() {
        let salt = "s".repeat(MAX_SALT_LENGTH + 1);
        for verifier in [
            SHA512.replacen("$$", "$", 1),
            SHA512.replacen("$$", "$salt$", 1),
            SHA512.replace("$$7ce0", "$$7CE0"),
            SHA512.replace("$$7ce0", "$$xyz0"),
            SHA512.replace("$$7", "$$"),
            format!("{SHA512}0"),
            CHEAP_PBKDF2.replace("seasalt", ""),
            CHEAP_PBKDF2.replace("seasalt", &salt),
            CHEAP_PBKDF2.replace("$seasalt", ""),
            CHEAP_PBKDF2.replace('=', ""),
            format!("{CHEAP_PBKDF2}$"),
            CHEAP_ARGON2.replace("argon2$", "argon2$$"),
            CHEAP_ARGON2.replace("argon2$argon2id", "argon2$argon2i"),
            CHEAP_ARGON2.replace("argon2$argon2id", "argon2$argon2"),
        ] {
            assert_eq!(check(KEY, &verifier), Err(VerifyError::UnusableVerifier), "{verifier}");
        }
    }

    proptest! {
        #[test]
        fn a_damaged_verifier_never_matches(
            verifier in prop::sample::select(CHEAP.to_vec()), at in 0..140usize, to in "[ -~]?",
        ) {
            let mut damaged = verifier.to_owned();
            if at < damaged.len() {
                damaged.replace_range(at..=at, &to);
                prop_assert!(damaged == verifier || check(KEY, &damaged) != Ok(true), "{damaged}");
            }
        }
    }
}
