//! What is stored in place of a key: an Argon2id hash as a PHC string
//! (`$argon2id$v=19$m=19456,t=2,p=1$SALT$HASH`). Sources: RFC 9106, the PHC string format, and
//! OWASP's Password Storage Cheat Sheet for the default parameters.

use crate::key::Key;
use crate::random::{self, NoRandomness};
use argon2::password_hash::{self, PasswordHasher, PasswordVerifier};
use argon2::{ARGON2ID_IDENT, Algorithm, Argon2, Params, PasswordHash, Version};
use std::ops::RangeInclusive;

const SALT_LENGTH: usize = 16;

/// The cost of an Argon2id hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Argon2Params {
    /// Memory in KiB.
    pub memory: u32,
    /// Passes over that memory.
    pub iterations: u32,
    /// Lanes.
    pub parallelism: u32,
}

impl Argon2Params {
    /// OWASP's minimum: 19 MiB, 2 passes, 1 lane.
    pub const DEFAULT: Self = Self { memory: 19_456, iterations: 2, parallelism: 1 };

    /// What a new key may be hashed with. The upper bounds hold for a stored verifier too: nobody who
    /// can write one may make a check take gigabytes or minutes.
    pub const MEMORY: RangeInclusive<u32> = 1_024..=262_144;
    pub const ITERATIONS: RangeInclusive<u32> = 1..=16;
    pub const PARALLELISM: RangeInclusive<u32> = 1..=16;
}

#[derive(Debug, thiserror::Error)]
pub enum HashError {
    #[error("not an API key")]
    NotAKey,
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    #[error("Argon2id refused to hash: {0}")]
    Argon2(#[from] password_hash::Error),
    #[error("out of memory: Argon2id needs {0} KiB")]
    OutOfMemory(u32),
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum VerifyError {
    #[error("the stored verifier is not an Argon2id PHC string within bounds")]
    UnusableVerifier,
    #[error("out of memory: Argon2id needs {0} KiB")]
    OutOfMemory(u32),
}

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

/// Whether `key` is the one that `verifier` was made from. Costs one Argon2id run of the verifier's
/// own parameters, which are bounded before any memory is taken.
pub fn verify(key: Key<'_>, verifier: &str) -> Result<bool, VerifyError> {
    let stored = PasswordHash::new(verifier).map_err(|_| VerifyError::UnusableVerifier)?;
    let params = Params::try_from(&stored).map_err(|_| VerifyError::UnusableVerifier)?;
    if stored.algorithm != ARGON2ID_IDENT || !within_bounds(&params) {
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

fn within_bounds(params: &Params) -> bool {
    params.m_cost() <= *Argon2Params::MEMORY.end()
        && params.t_cost() <= *Argon2Params::ITERATIONS.end()
        && params.p_cost() <= *Argon2Params::PARALLELISM.end()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: &str = "Map0K71T.rcs82Q66NuCUCuyTmnjVhmwhfl0VnOsW";
    const OTHER: &str = "Map0K71T.rcs82Q66NuCUCuyTmnjVhmwhfl0VnOsX";
    /// Made by the reference implementation's command line tool:
    /// `printf %s KEY | argon2 apikey-test-salt -id -t 2 -m 8 -p 1 -l 32 -e`.
    const REFERENCE: &str = "$argon2id$v=19$m=256,t=2,p=1$\
        YXBpa2V5LXRlc3Qtc2FsdA$H3pG7FHse/iHKw0Cab9IyWhharwRntRwyp0vi3ATtz0";
    const CHEAP: Argon2Params = Argon2Params { memory: 64, iterations: 1, parallelism: 1 };

    fn check(key: &str, verifier: &str) -> Result<bool, VerifyError> {
        Key::parse(key).map_or(Ok(false), |key| verify(key, verifier))
    }

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
    fn other_algorithms_are_refused() {
        for name in ["argon2i", "argon2d", "scrypt"] {
            let verifier = hash(KEY, CHEAP).unwrap_or_default().replace("argon2id", name);
            assert_eq!(check(KEY, &verifier), Err(VerifyError::UnusableVerifier), "{name}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_legal_verifier_and_matches_nothing(text in ".*") {
            prop_assert_ne!(check(KEY, &text), Ok(true));
        }

        #[test]
        fn a_damaged_verifier_never_matches(at in 0..97usize, to in "[ -~]") {
            let mut damaged = REFERENCE.to_owned();
            if at < damaged.len() {
                damaged.replace_range(at..=at, &to);
                prop_assert!(damaged == REFERENCE || check(KEY, &damaged) != Ok(true));
            }
        }
    }
}
