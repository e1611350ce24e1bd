//! What this project makes: an Argon2id hash as a PHC string
//! (`$argon2id$v=19$m=19456,t=2,p=1$SALT$HASH`). Sources: RFC 9106, the PHC string format, and
//! OWASP's Password Storage Cheat Sheet for the default parameters.

use super::{Argon2Params, HashError, VerifyError};
use crate::random;
use apikey_format::Key;
use argon2::password_hash::phc::Output;
use argon2::{ARGON2ID_IDENT, Algorithm, Argon2, Block, Params, PasswordHash, Version};
use base64ct::{Base64Unpadded, Encoding};
use ctutils::CtEq;

const SALT_LENGTH: usize = 16;
const SALT_IN_BASE64: usize = 22;
const OUTPUT_IN_BASE64: usize = 43;

/// Hashes a key under a salt of its own.
pub fn hash<M: AsMut<[Block]>>(
    key: Key<'_>,
    params: Argon2Params,
    allocate: impl FnOnce(usize) -> Option<M>,
) -> Result<String, HashError> {
    let mut salt = [0; SALT_LENGTH];
    random::fill(&mut salt)?;
    let checked = Params::new(params.memory, params.iterations, params.parallelism, None)?;
    let memory = allocate(checked.block_count()).ok_or(HashError::OutOfMemory(params.memory))?;
    let mut output = [0; Params::DEFAULT_OUTPUT_LEN];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, checked).hash_password_into_with_memory(
        key.as_bytes(),
        &salt,
        &mut output,
        memory,
    )?;
    let encode = |bytes: &[u8]| Base64Unpadded::encode_string(bytes);
    let spelling = spelling(params.memory, params.iterations, params.parallelism);
    Ok(format!("{spelling}{}${}", encode(&salt), encode(&output)))
}

/// Whether `verifier` is what [`hash`] makes today at these parameters. One that is not can be
/// renewed when its key is at hand, which is when the key has just been found good.
pub fn is_current(verifier: &str, wanted: Argon2Params) -> bool {
    current_params(verifier) == Some(wanted)
}

/// Every check asks this, so that it reads numbers rather than write the text that they would stand
/// in.
fn current_params(verifier: &str) -> Option<Argon2Params> {
    let rest = verifier.as_bytes().strip_prefix(b"$argon2id$v=19$m=")?;
    let (memory, rest) = number(rest)?;
    let (iterations, rest) = number(rest.strip_prefix(b",t=")?)?;
    let (parallelism, rest) = number(rest.strip_prefix(b",p=")?)?;
    let is_of_our_lengths = rest.len() == 1 + SALT_IN_BASE64 + 1 + OUTPUT_IN_BASE64
        && rest[0] == b'$'
        && rest[1 + SALT_IN_BASE64] == b'$';
    is_of_our_lengths.then_some(Argon2Params { memory, iterations, parallelism })
}

/// The number at the start of the text, and what follows it.
fn number(text: &[u8]) -> Option<(u32, &[u8])> {
    let length = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = text.split_at_checked(length).filter(|_| length > 0)?;
    let append =
        |number: u32, digit: &u8| number.checked_mul(10)?.checked_add((digit - b'0').into());
    Some((digits.iter().try_fold(0, append)?, rest))
}

/// One run of Argon2id, whose parameters are looked at before any memory is taken.
pub(super) fn verify<M: AsMut<[Block]>>(
    key: Key<'_>,
    verifier: &str,
    allocate: impl FnOnce(usize) -> Option<M>,
) -> Result<bool, VerifyError> {
    let stored = PasswordHash::new(verifier).map_err(|_| VerifyError::UnusableVerifier)?;
    let params = Params::try_from(&stored).map_err(|_| VerifyError::UnusableVerifier)?;
    let spelling = spelling(params.m_cost(), params.t_cost(), params.p_cost());
    let (Some(salt), Some(expected)) = (&stored.salt, &stored.hash) else {
        return Err(VerifyError::UnusableVerifier);
    };
    if !verifier.starts_with(&spelling) || !within_bounds(&params) {
        return Err(VerifyError::UnusableVerifier);
    }
    let memory = allocate(params.block_count()).ok_or(VerifyError::OutOfMemory(params.m_cost()))?;
    let mut buffer = [0; Output::MAX_LENGTH];
    let output = &mut buffer[..expected.len()];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into_with_memory(key.as_bytes(), salt, output, memory)
        .map_err(|_| VerifyError::UnusableVerifier)?;
    Ok(output.ct_eq(expected.as_bytes()).into())
}

/// The one beginning that a verifier of this cost has. The PHC format would let a parameter be left
/// out, stand elsewhere or have company: nobody writes it so, and one cost in two spellings helps
/// nobody.
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
    use super::super::tests::{KEY, OTHER, allocate, check};
    use super::*;
    use proptest::prelude::*;

    /// Made by the reference implementation's command line tool:
    /// `printf %s KEY | argon2 apikey-test-salt -id -t 2 -m 8 -p 1 -l 32 -e`.
    const REFERENCE: &str = "$argon2id$v=19$m=256,t=2,p=1$\
        YXBpa2V5LXRlc3Qtc2FsdA$H3pG7FHse/iHKw0Cab9IyWhharwRntRwyp0vi3ATtz0";
    const REFERENCE_PARAMS: Argon2Params =
        Argon2Params { memory: 256, iterations: 2, parallelism: 1 };
    const CHEAP: Argon2Params = Argon2Params { memory: 64, iterations: 1, parallelism: 1 };

    fn make(key: &str, params: Argon2Params) -> String {
        let hash = Key::parse(key).map(|key| hash(key, params, allocate));
        hash.and_then(Result::ok).unwrap_or_default()
    }

    #[test]
    fn a_key_matches_its_own_verifier_alone() {
        let verifier = make(KEY, CHEAP);
        assert!(verifier.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{verifier}");
        assert!(!verifier.contains("rcs82Q"), "{verifier}");
        assert_eq!(check(KEY, &verifier), Ok(true));
        assert_eq!(check(OTHER, &verifier), Ok(false));
    }

    #[test]
    fn the_same_key_has_another_salt_each_time() {
        assert_ne!(make(KEY, CHEAP), make(KEY, CHEAP));
    }

    #[test]
    fn a_verifier_of_the_reference_implementation_is_understood() {
        assert_eq!(check(KEY, REFERENCE), Ok(true));
        assert_eq!(check(OTHER, REFERENCE), Ok(false));
    }

    #[test]
    fn no_memory_is_an_error() {
        let nothing = |_| None::<Vec<Block>>;
        assert_eq!(
            Key::parse(KEY).map(|key| verify(key, REFERENCE, nothing)),
            Some(Err(VerifyError::OutOfMemory(256)))
        );
        assert!(matches!(
            Key::parse(KEY).map(|key| hash(key, CHEAP, nothing)),
            Some(Err(HashError::OutOfMemory(64)))
        ));
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
        let largest = Params::new(262_144, 16, 16, None);
        assert!(largest.is_ok_and(|params| within_bounds(&params)));
    }

    #[test]
    fn other_variants_of_argon2_are_refused() {
        for name in ["argon2i", "argon2d", "argon2"] {
            let verifier = make(KEY, CHEAP).replace("argon2id", name);
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
        assert!(is_current(&make(KEY, CHEAP), CHEAP));
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
            REFERENCE.replace("dA$H3", "d$AH3"),
            REFERENCE.replace("p=1$", "p=1_"),
        ] {
            assert!(!is_current(&other, REFERENCE_PARAMS), "{other}");
        }
        let nothing = Argon2Params { memory: 0, ..REFERENCE_PARAMS };
        assert!(!is_current(&REFERENCE.replace("m=256", "m="), nothing));
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
