//! The tag of a generated key: 32 bits of a fast hash, stored beside the verifier, so that a wrong
//! secret is refused without the slow hash. Of a secret's 190 bits that leaves 158 to guess. A
//! secret that a person chose has too few to spare any, and gets no tag.

use apikey_format::Key;
use blake2::Blake2b;
use blake2::digest::consts::U4;
use blake2::digest::{FixedOutput, Update};

/// 32 bits of BLAKE2b over key and verifier. The verifier's salt is in it: tags of one key in two
/// places differ.
pub fn tag(key: Key<'_>, verifier: &str) -> u32 {
    let mut hash = Blake2b::<U4>::default();
    hash.update(key.as_bytes());
    hash.update(verifier.as_bytes());
    u32::from_le_bytes(hash.finalize_fixed().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verifier::tests::{KEY, OTHER};

    const VERIFIER: &str = "$argon2id$v=19$m=256,t=2,p=1$\
        YXBpa2V5LXRlc3Qtc2FsdA$H3pG7FHse/iHKw0Cab9IyWhharwRntRwyp0vi3ATtz0";

    fn tag_of(key: &str, verifier: &str) -> Option<u32> {
        Key::parse(key).map(|key| tag(key, verifier))
    }

    /// `int.from_bytes(hashlib.blake2b((KEY + VERIFIER).encode(), digest_size=4).digest(),
    /// "little")`
    #[test]
    fn a_tag_is_what_another_implementation_says() {
        assert_eq!(tag_of(KEY, VERIFIER), Some(1_917_015_602));
    }

    #[test]
    fn another_key_or_salt_has_another_tag() {
        assert_ne!(tag_of(KEY, VERIFIER), tag_of(OTHER, VERIFIER));
        assert_ne!(tag_of(KEY, VERIFIER), tag_of(KEY, &VERIFIER.replace("YXBp", "YXBq")));
    }
}
