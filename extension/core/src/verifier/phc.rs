//! What this project makes: an Argon2id hash as a PHC string
//! (`$argon2id$v=19$m=19456,t=2,p=1$SALT$HASH`). Sources: RFC 9106, the PHC string format, and
//! OWASP's Password Storage Cheat Sheet for the default parameters.

use super::{Argon2Params, HashError, VerifyError};
use crate::key::Key;
use crate::random;
use argon2::password_hash::{self, PasswordHasher, PasswordVerifier};
use argon2::{ARGON2ID_IDENT, Algorithm, Argon2, Params, PasswordHash, Version};

const SALT_LENGTH: usize = 16;

/// Hashes the text of a key under a salt of its own.
pub fn hash(key: &str, params: Argon2Params) -> Result<String, HashError> {
    let key = Key::parse(key).ok_or(HashError::NotAKey)?;
    let mut salt = [0; SALT_LENGTH];
    random::fill(&mut salt)?;
    let checked = Params::new(params.memory, params.iterations, params.parallelism, None)
        .map_err(password_hash::Error::from)?;
    Argon2::new(Algorithm::Argon2id, Version::V0x13, checked)
        .hash_password_with_salt(key.as_bytes(), &salt)
        .map(|hash| hash.to_string())
        .map_err(|error| match error {
            password_hash::Error::OutOfMemory => HashError::OutOfMemory(params.memory),
            other => HashError::Argon2(other),
        })
}

/// Whether `verifier` is what [`hash`] makes today at these parameters. One that is not can be
/// renewed when its key is at hand, which is when the key has just been found good.
pub fn is_current(verifier: &str, params: Argon2Params) -> bool {
    let Argon2Params { memory, iterations, parallelism } = params;
    verifier.starts_with(&spelling(memory, iterations, parallelism))
        && PasswordHash::new(verifier).is_ok_and(|stored| {
            stored.salt.is_some_and(|salt| salt.len() == SALT_LENGTH)
                && stored.hash.is_some_and(|hash| hash.len() == Params::DEFAULT_OUTPUT_LEN)
        })
}

/// One run of Argon2id, whose parameters are looked at before any memory is taken.
pub(super) fn verify(key: Key<'_>, verifier: &str) -> Result<bool, VerifyError> {
    let stored = PasswordHash::new(verifier).map_err(|_| VerifyError::UnusableVerifier)?;
    let params = Params::try_from(&stored).map_err(|_| VerifyError::UnusableVerifier)?;
    let spelling = spelling(params.m_cost(), params.t_cost(), params.p_cost());
    if !verifier.starts_with(&spelling) || !within_bounds(&params) {
        return Err(VerifyError::UnusableVerifier);
    }
    // Compares the outputs in constant time.
    match Argon2::default().verify_password(key.as_bytes(), &stored) {
        Ok(()) => Ok(true),
        Err(password_hash::Error::PasswordInvalid) => Ok(false),
        Err(password_hash::Error::OutOfMemory) => Err(VerifyError::OutOfMemory(params.m_cost())),
        Err(_) => Err(VerifyError::UnusableVerifier),
    }
}

/// The one beginning that a verifier of this cost has. The PHC format would let a parameter be left out,
/// stand elsewhere or have company: nobody writes it so, and one cost in two spellings helps nobody.
fn spelling(memory: u32, iterations: u32, parallelism: u32) -> String {
    format!("${ARGON2ID_IDENT}$v=19$m={memory},t={iterations},p={parallelism}$")
}

fn within_bounds(params: &Params) -> bool {
    params.m_cost() <= *Argon2Params::MEMORY.end()
        && params.t_cost() <= *Argon2Params::ITERATIONS.end()
        && params.p_cost() <= *Argon2Params::PARALLELISM.end()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{KEY, OTHER, check};
    use super::*;
    use proptest::prelude::*;

    /// Made by the reference implementation's command line tool:
    /// `printf %s KEY | argon2 apikey-test-salt -id -t 2 -m 8 -p 1 -l 32 -e`.
    const REFERENCE: &str = "$argon2id$v=19$m=256,t=2,p=1$\
        YXBpa2V5LXRlc3Qtc2FsdA$H3pG7FHse/iHKw0Cab9IyWhharwRntRwyp0vi3ATtz0";
    const REFERENCE_PARAMS: Argon2Params =
        Argon2Params { memory: 256, iterations: 2, parallelism: 1 };
    const CHEAP: Argon2Params = Argon2Params { memory: 64, iterations: 1, parallelism: 1 };

    #[test]
    fn a_key_matches_its_own_verifier_alone() {
        let verifier = hash(KEY, CHEAP).unwrap_or_default();
        assert!(verifier.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{verifier}");
        assert!(!verifier.contains("rcs82Q"), "{verifier}");
        assert_eq!(check(KEY, &verifier), Ok(true));
        assert_eq!(check(OTHER, &verifier), Ok(false));
    }

    #[test]
    fn the_same_key_has_another_salt_each_time() {
        assert_ne!(hash(KEY, CHEAP).ok(), hash(KEY, CHEAP).ok());
    }

    #[test]
    fn a_verifier_of_the_reference_implementation_is_understood() {
        assert_eq!(check(KEY, REFERENCE), Ok(true));
        assert_eq!(check(OTHER, REFERENCE), Ok(false));
    }

    #[test]
    fn only_a_key_is_hashed() {
        assert!(matches!(hash("hunter2", CHEAP), Err(HashError::NotAKey)));
    }

    #[test]
    fn parameters_out_of_bounds_are_refused_before_memory_is_taken() {
        let tail = "$c2FsdHNhbHRzYWx0c2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        for cost in ["m=4294967295,t=1,p=1", "m=262145,t=1,p=1", "m=64,t=17,p=1", "m=1024,t=1,p=17"]
        {
            let verifier = format!("$argon2id$v=19${cost}{tail}");
            assert_eq!(check(KEY, &verifier), Err(VerifyError::UnusableVerifier), "{cost}");
        }
        assert_eq!(check(KEY, &format!("$argon2id$v=19$m=64,t=1,p=1{tail}")), Ok(false));
    }

    #[test]
    fn other_variants_of_argon2_are_refused() {
        for name in ["argon2i", "argon2d", "argon2"] {
            let verifier = hash(KEY, CHEAP).unwrap_or_default().replace("argon2id", name);
            assert_eq!(check(KEY, &verifier), Err(VerifyError::UnusableVerifier), "{name}");
        }
    }

    #[test]
    fn other_spellings_are_refused() {
        for (from, to) in [
            (",p=1", ""),
            ("$v=19", ""),
            ("v=19", "v=16"),
            ("m=256,t=2", "t=2,m=256"),
            ("p=1", "p=1,keyid=AAAA"),
            ("m=256", "m=0256"),
        ] {
            let verifier = REFERENCE.replace(from, to);
            assert_eq!(check(KEY, &verifier), Err(VerifyError::UnusableVerifier), "{verifier}");
        }
    }

    #[test]
    fn what_was_made_at_these_parameters_is_current() {
        assert!(is_current(&hash(KEY, CHEAP).unwrap_or_default(), CHEAP));
        assert!(is_current(REFERENCE, REFERENCE_PARAMS));
        for params in [
            Argon2Params { memory: 257, ..REFERENCE_PARAMS },
            Argon2Params { iterations: 1, ..REFERENCE_PARAMS },
            Argon2Params { parallelism: 2, ..REFERENCE_PARAMS },
            Argon2Params { memory: 0, iterations: 0, parallelism: 0 },
        ] {
            assert!(!is_current(REFERENCE, params), "{params:?}");
        }
    }

    #[test]
    fn another_form_is_not_current() {
        for other in [
            String::new(),
            format!("argon2{REFERENCE}"),
            REFERENCE.replace("argon2id", "argon2i"),
            REFERENCE.replace("v=19", "v=16"),
            REFERENCE.replace("$v=19", ""),
            REFERENCE.replace("p=1", "p=1,data=AAAA"),
            REFERENCE.replace("YXBpa2V5LXRlc3Qtc2FsdA", "c2VhLXNhbHQ"),
            REFERENCE.replace("Cab9IyWhharwRntRwyp0vi3ATtz0", ""),
            REFERENCE.replace("$H3pG7FHse/iHKw0Cab9IyWhharwRntRwyp0vi3ATtz0", ""),
        ] {
            assert!(!is_current(&other, REFERENCE_PARAMS), "{other}");
        }
    }

    proptest! {
        #[test]
        fn a_damaged_verifier_never_matches(at in 0..97usize, to in "[ -~]") {
            let mut damaged = REFERENCE.to_owned();
            if at < damaged.len() {
                damaged.replace_range(at..=at, &to);
                prop_assert!(damaged == REFERENCE || check(KEY, &damaged) != Ok(true));
            }
        }

        #[test]
        fn any_text_can_be_asked_whether_it_is_current(text in ".*") {
            prop_assert!(!is_current(&text, REFERENCE_PARAMS));
        }
    }
}
