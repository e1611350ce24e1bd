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

    /// Every byte once, the unfair ones first: each of the 62 characters must come up exactly 256 /
    /// 62 = 4 times, and each of the 26 letters of a first character 256 / 26 = 9 times.
    #[test]
    fn drawing_is_without_bias() {
        for (alphabet, each) in [(ALPHANUMERIC, 4), (UPPER_CASE, 9)] {
            let mut next = (0..=255).rev();
            let mut text = String::new();
            let count = each * alphabet.len();
            let drawn: Result<_, &str> = push_drawn(&mut text, count, alphabet, &mut |buffer| {
                buffer.fill_with(|| next.next().unwrap_or(0));
                Ok(())
            });
            assert_eq!(drawn, Ok(()));
            let times = |character| text.matches(char::from(character)).count();
            assert!(alphabet.iter().all(|&character| times(character) == each), "{text}");
            // Not one byte more than there are was asked for.
            assert_eq!((text.len(), next.next()), (count, None));
        }
    }

    #[test]
    fn a_failing_random_source_is_an_error() {
        assert_eq!(GeneratedKey::draw(|_| Err("no entropy")).err(), Some("no entropy"));
    }
}
