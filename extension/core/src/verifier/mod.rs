//! What is stored in place of a key: a hash of the whole `PREFIX.SECRET`, in one of the forms of
//! `phc` (what is made here) and `django` (what keys that moved in from Django come with).

mod django;
mod phc;

use crate::random::NoRandomness;
use apikey_format::Key;
use argon2::Block;
use std::ops::RangeInclusive;

pub use phc::{hash, is_current};

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

    /// What a new key may be hashed with. The upper bounds hold for a stored verifier too: nobody
    /// who can write one may make a check take gigabytes or minutes.
    pub const MEMORY: RangeInclusive<u32> = 1_024..=262_144;
    pub const ITERATIONS: RangeInclusive<u32> = 1..=16;
    pub const PARALLELISM: RangeInclusive<u32> = 1..=16;
}

#[derive(Debug, thiserror::Error)]
pub enum HashError {
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    #[error("Argon2id refused to hash: {0}")]
    Argon2(#[from] argon2::Error),
    #[error("out of memory: Argon2id needs {0} KiB")]
    OutOfMemory(u32),
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum VerifyError {
    #[error("the stored verifier has no form that is known, or a cost that is out of bounds")]
    UnusableVerifier,
    #[error("out of memory: Argon2id needs {0} KiB")]
    OutOfMemory(u32),
}

/// Whether `key` is the one that `verifier` was made from. Costs one run of the verifier's own
/// algorithm at its own cost, which is bounded before any work is done. `allocate` gives that many
/// zeroed blocks of 1 KiB, or none.
pub fn verify<M: AsMut<[Block]>>(
    key: Key<'_>,
    verifier: &str,
    allocate: impl FnOnce(usize) -> Option<M>,
) -> Result<bool, VerifyError> {
    match verifier.split_once('$') {
        Some(("", _)) => phc::verify(key, verifier, allocate),
        Some(("sha512", rest)) => django::verify_sha512(key, rest),
        Some(("pbkdf2_sha256", rest)) => django::verify_pbkdf2(key, rest),
        // Django writes its own name for the algorithm before a PHC string that is otherwise whole.
        Some((argon2 @ "argon2", _)) => phc::verify(key, &verifier[argon2.len()..], allocate),
        _ => Err(VerifyError::UnusableVerifier),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub const KEY: &str = "Map0K71T.rcs82Q66NuCUCuyTmnjVhmwhfl0VnOsW";
    pub const OTHER: &str = "Map0K71T.rcs82Q66NuCUCuyTmnjVhmwhfl0VnOsX";

    pub fn allocate(blocks: usize) -> Option<Vec<Block>> {
        Some(vec![Block::default(); blocks])
    }

    pub fn check(key: &str, verifier: &str) -> Result<bool, VerifyError> {
        Key::parse(key).map_or(Ok(false), |key| verify(key, verifier, allocate))
    }

    #[test]
    fn other_algorithms_are_refused() {
        for verifier in [
            "",
            "$",
            "sha512",
            "sha256$$ab",
            "md5$salt$5f4dcc3b5aa765d61d8327deb882cf99",
            "bcrypt_sha256$$2b$12$abcdefghijklmnopqrstuu",
            "scrypt$16384$salt$8$1$aGFzaA==",
            "pbkdf2_sha1$1$salt$aGFzaA==",
            "PBKDF2_SHA256$3$seasalt$9TKwh2C2rsRSYMTvqQyGaTVt3lBVncmokg6T8J8yAiA=",
            " sha512$$ab",
            "!unusable", // Django's mark of a password that cannot be used
        ] {
            assert_eq!(check(KEY, verifier), Err(VerifyError::UnusableVerifier), "{verifier}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_legal_verifier_and_matches_nothing(
            form in prop::sample::select(vec!["", "$", "sha512$", "pbkdf2_sha256$", "argon2$"]),
            text in ".*",
        ) {
            prop_assert_ne!(check(KEY, &format!("{form}{text}")), Ok(true));
        }
    }
}
