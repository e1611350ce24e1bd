//! Keys that are made here.

use crate::random::{self, NoRandomness};
use apikey_format::Key;
use std::fmt;
use zeroize::Zeroizing;

const UPPER_CASE: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const ALPHANUMERIC: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

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
        let mut key = Zeroizing::new(String::with_capacity(Key::LENGTH));
        push_drawn(&mut key, 1, UPPER_CASE, &mut fill)?;
        push_drawn(&mut key, Key::PREFIX_LENGTH - 1, ALPHANUMERIC, &mut fill)?;
        key.push('.');
        push_drawn(&mut key, Key::SECRET_LENGTH, ALPHANUMERIC, &mut fill)?;
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
    let mut bytes = Zeroizing::new([0; Key::LENGTH]);
    while wanted > 0 {
        let drawn = &mut bytes[..wanted.min(Key::LENGTH)];
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
    use std::collections::HashMap;
    use std::convert::Infallible;

    #[test]
    fn debug_shows_no_secret() {
        assert_eq!(format!("{:?}", GeneratedKey::new()), "Ok(GeneratedKey(…))");
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
}
