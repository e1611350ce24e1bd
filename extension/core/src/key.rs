//! A key is `PREFIX.SECRET`: 8 and 32 characters of `[A-Za-z0-9]`, the format of
//! djangorestframework-api-key. The prefix is public, the secret is not.

use crate::random::{self, NoRandomness};
use std::fmt;
use zeroize::Zeroizing;

const PREFIX_LENGTH: usize = 8;
const SECRET_LENGTH: usize = 32;
const KEY_LENGTH: usize = PREFIX_LENGTH + 1 + SECRET_LENGTH;

const UPPER_CASE: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const ALPHANUMERIC: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// Text that has the shape of a key. It may be nobody's.
#[derive(Clone, Copy)]
pub struct Key<'a>(&'a str);

impl<'a> Key<'a> {
    /// Takes any text; `None` when it has not exactly the shape of a key. The length is looked at
    /// first, so that a megabyte costs no more than a byte.
    pub fn parse(text: &'a str) -> Option<Self> {
        let bytes: &[u8; KEY_LENGTH] = text.as_bytes().try_into().ok()?;
        let is_right = |(at, byte): (usize, &u8)| match at {
            PREFIX_LENGTH => *byte == b'.',
            _ => byte.is_ascii_alphanumeric(),
        };
        // All of them, also behind a wrong one: without a branch for each that is the faster way.
        let is_key = bytes.iter().enumerate().map(is_right).fold(true, |all, one| all & one);
        is_key.then_some(Self(text))
    }

    /// The public half, which names the key.
    pub fn prefix(self) -> &'a str {
        self.0.split_at(PREFIX_LENGTH).0
    }

    /// Prefix and secret.
    pub(crate) fn halves(self) -> (&'a str, &'a str) {
        let (prefix, rest) = self.0.split_at(PREFIX_LENGTH);
        (prefix, rest.split_at(1).1)
    }

    /// What is hashed: the whole key, as djangorestframework-api-key does.
    pub(crate) fn as_bytes(self) -> &'a [u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({}.…)", self.prefix())
    }
}

/// A new key, wiped from memory when dropped. Its secret half has 190 bits: 32 characters of 62.
pub struct GeneratedKey(Zeroizing<String>);

impl GeneratedKey {
    /// Draws a key from the operating system's random source. The prefix begins with an upper-case
    /// letter, as the keys that TiBillet's clients know.
    pub fn new() -> Result<Self, NoRandomness> {
        Self::draw(random::fill)
    }

    fn draw<E>(mut fill: impl FnMut(&mut [u8]) -> Result<(), E>) -> Result<Self, E> {
        // Reserved whole, so that growing leaves no copy of the secret behind.
        let mut key = Zeroizing::new(String::with_capacity(KEY_LENGTH));
        push_drawn(&mut key, 1, UPPER_CASE, &mut fill)?;
        push_drawn(&mut key, PREFIX_LENGTH - 1, ALPHANUMERIC, &mut fill)?;
        key.push('.');
        push_drawn(&mut key, SECRET_LENGTH, ALPHANUMERIC, &mut fill)?;
        Ok(Self(key))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for GeneratedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GeneratedKey(…)")
    }
}

/// Appends `count` characters of `alphabet`, each equally likely: a byte past the last whole
/// multiple of the alphabet's length is thrown away, since keeping it would favour the first ones.
fn push_drawn<E>(
    key: &mut String,
    count: usize,
    alphabet: &[u8],
    fill: &mut impl FnMut(&mut [u8]) -> Result<(), E>,
) -> Result<(), E> {
    let fair = 256 - 256 % alphabet.len();
    let mut wanted = count;
    let mut bytes = Zeroizing::new([0; KEY_LENGTH]);
    while wanted > 0 {
        let drawn = &mut bytes[..wanted.min(KEY_LENGTH)];
        fill(drawn)?;
        for index in drawn.iter().map(|&byte| usize::from(byte)).filter(|&index| index < fair) {
            key.push(char::from(alphabet[index % alphabet.len()]));
            wanted -= 1;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;
    use std::convert::Infallible;

    const KEY: &str = "Map0K71T.rcs82Q66NuCUCuyTmnjVhmwhfl0VnOsW";

    #[test]
    fn the_published_key_is_a_key() {
        assert_eq!(Key::parse(KEY).map(Key::prefix), Some("Map0K71T"));
    }

    #[test]
    fn debug_shows_no_secret() {
        let shown = format!("{:?} {:?}", Key::parse(KEY), GeneratedKey::new());
        assert!(!shown.contains("rcs82Q"), "{shown}");
        assert_eq!(shown, "Some(Key(Map0K71T.…)) Ok(GeneratedKey(…))");
    }

    #[test]
    fn generated_keys_are_keys_and_differ() {
        let keys: Vec<_> = (0..1000).filter_map(|_| GeneratedKey::new().ok()).collect();
        let distinct: std::collections::HashSet<_> =
            keys.iter().map(GeneratedKey::as_str).collect();
        assert_eq!(distinct.len(), 1000);
        for key in distinct {
            assert!(Key::parse(key).is_some());
            assert!(key.starts_with(|first: char| first.is_ascii_uppercase()));
        }
    }

    /// Every byte once: each of the 62 characters must come up exactly 256 / 62 = 4 times.
    #[test]
    fn drawing_is_without_bias() {
        let mut next = 0..=255;
        let mut text = String::new();
        let _: Result<(), Infallible> = push_drawn(&mut text, 248, ALPHANUMERIC, &mut |buffer| {
            for (byte, value) in buffer.iter_mut().zip(next.by_ref()) {
                *byte = value;
            }
            Ok(())
        });
        let mut times = HashMap::new();
        for character in text.chars() {
            *times.entry(character).or_insert(0) += 1;
        }
        assert_eq!(times.len(), 62);
        assert!(times.values().all(|&count| count == 4), "{times:?}");
    }

    #[test]
    fn a_failing_random_source_is_an_error() {
        assert_eq!(GeneratedKey::draw(|_| Err("no entropy")).err(), Some("no entropy"));
    }

    proptest! {
        #[test]
        fn what_has_the_shape_is_a_key(text in "[A-Za-z0-9]{8}\\.[A-Za-z0-9]{32}") {
            prop_assert_eq!(Key::parse(&text).map(Key::prefix), Some(&text[..8]));
        }

        #[test]
        fn other_text_is_not(text in ".*") {
            let shaped = text.len() == 41 && text.as_bytes()[8] == b'.';
            prop_assert!(shaped || Key::parse(&text).is_none());
        }

        #[test]
        fn one_character_more_less_or_other_is_not(at in 0..41usize, other in "[^A-Za-z0-9.]") {
            let mut longer = KEY.to_owned();
            longer.insert(at, 'x');
            prop_assert!(Key::parse(&longer).is_none());
            let mut shorter = KEY.to_owned();
            shorter.remove(at);
            prop_assert!(Key::parse(&shorter).is_none());
            let mut changed = KEY.to_owned();
            changed.replace_range(at..=at, &other);
            prop_assert!(Key::parse(&changed).is_none());
        }
    }
}
