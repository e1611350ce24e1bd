//! A key is `PREFIX.SECRET`: 8 and 32 characters of `[A-Za-z0-9]`, what djangorestframework-api-key
//! makes by default. Its generator can be told other lengths and alphabets, and keys that moved in
//! from there keep theirs. The prefix is public, the secret is not.

use std::fmt;

/// Of a key that moved in: what Django's column holds, and the longest secret that public projects
/// are known to set.
const LONGEST_PREFIX: usize = 8;
const LONGEST_SECRET: usize = 128;

/// Text that has the shape of a key. It may be nobody's.
#[derive(Clone, Copy)]
pub struct Key<'a> {
    text: &'a str,
    prefix_length: usize,
    is_generated: bool,
}

impl<'a> Key<'a> {
    /// Of keys that are made here.
    pub const PREFIX_LENGTH: usize = 8;
    pub const SECRET_LENGTH: usize = 32;
    pub const LENGTH: usize = Self::PREFIX_LENGTH + 1 + Self::SECRET_LENGTH;

    /// Takes any text; `None` when it has not the shape of a key. The length is looked at first, so
    /// that a megabyte costs no more than a byte.
    pub fn parse(text: &'a str) -> Option<Self> {
        let bytes = text.as_bytes();
        if has_generated_shape(bytes) {
            return Some(Self { text, prefix_length: Self::PREFIX_LENGTH, is_generated: true });
        }
        let prefix_length = prefix_of_another_shape(bytes)?;
        Some(Self { text, prefix_length, is_generated: false })
    }

    /// Whether it has exactly the shape of the keys that are made here.
    pub fn is_generated(self) -> bool {
        self.is_generated
    }

    /// The public half, which names the key.
    pub fn prefix(self) -> &'a str {
        self.text.split_at(self.prefix_length).0
    }

    /// Prefix and secret.
    pub fn halves(self) -> (&'a str, &'a str) {
        let (prefix, rest) = self.text.split_at(self.prefix_length);
        (prefix, rest.split_at(1).1)
    }

    /// What is hashed: the whole key, as djangorestframework-api-key does.
    pub fn as_bytes(self) -> &'a [u8] {
        self.text.as_bytes()
    }
}

fn has_generated_shape(bytes: &[u8]) -> bool {
    let Ok(bytes) = <&[u8; Key::LENGTH]>::try_from(bytes) else { return false };
    let is_right = |(at, byte): (usize, &u8)| match at {
        Key::PREFIX_LENGTH => *byte == b'.',
        _ => byte.is_ascii_alphanumeric(),
    };
    // All of them, also behind a wrong one: without a branch for each that is the faster way.
    bytes.iter().enumerate().map(is_right).fold(true, |all, one| all & one)
}

/// The length of the prefix, in the wider shape: 1 to 8 URL-safe characters (RFC 4648, 5), a full
/// stop, and a secret of 1 to 128 characters that may follow a scheme in `Authorization` (token68
/// of RFC 9110, 11.2).
fn prefix_of_another_shape(bytes: &[u8]) -> Option<usize> {
    if bytes.len() > LONGEST_PREFIX + 1 + LONGEST_SECRET {
        return None;
    }
    let stop = bytes.iter().take(LONGEST_PREFIX + 1).position(|byte| *byte == b'.')?;
    let (prefix, secret) = (&bytes[..stop], &bytes[stop + 1..]);
    let padding = secret.iter().rev().take_while(|byte| **byte == b'=').count();
    let unpadded = &secret[..secret.len() - padding];
    let is_right = has_prefix_shape(prefix)
        && !unpadded.is_empty()
        && secret.len() <= LONGEST_SECRET
        && unpadded.iter().all(|byte| is_url_safe(byte) || b".~+/".contains(byte));
    is_right.then_some(stop)
}

/// Whether a key may be named so.
pub fn is_prefix(text: &str) -> bool {
    has_prefix_shape(text.as_bytes())
}

fn has_prefix_shape(bytes: &[u8]) -> bool {
    (1..=LONGEST_PREFIX).contains(&bytes.len()) && bytes.iter().all(is_url_safe)
}

fn is_url_safe(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_".contains(byte)
}

impl fmt::Debug for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({}.…)", self.prefix())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: &str = "Map0K71T.rcs82Q66NuCUCuyTmnjVhmwhfl0VnOsW";

    #[test]
    fn the_published_key_is_a_key() {
        assert_eq!(Key::parse(KEY).map(Key::prefix), Some("Map0K71T"));
    }

    #[test]
    fn debug_shows_no_secret() {
        assert_eq!(format!("{:?}", Key::parse(KEY)), "Some(Key(Map0K71T.…))");
    }

    #[test]
    fn keys_of_other_generators_are_keys() {
        let longest = format!("abcdefgh.{}", "x".repeat(128));
        for (text, prefix) in [
            ("a.b", "a"),
            ("Ab1.rcs82Q66NuCUCuyTmnjVhmwhfl0VnOsW", "Ab1"),
            ("-_-_-_-_.Zm9v-YmFy_", "-_-_-_-_"),
            ("Map0K71T.f81d4fae-7dec-11d0-a765-00a0c91e6bf6", "Map0K71T"),
            ("Map0K71T.Zm9v+YmFy/Yg==", "Map0K71T"),
            ("Map0K71T.a.b~c", "Map0K71T"),
            ("Map0K71T.rcs82Q66NuCUCuyTmnjVhmwhfl0VnOs_", "Map0K71T"),
            (&longest, "abcdefgh"),
        ] {
            let key = Key::parse(text);
            assert_eq!(key.map(Key::prefix), Some(prefix), "{text}");
            assert_eq!(key.map(Key::is_generated), Some(false), "{text}");
            assert_eq!(key.map(Key::as_bytes), Some(text.as_bytes()));
        }
        assert_eq!(Key::parse(KEY).map(Key::is_generated), Some(true));
    }

    #[test]
    fn what_no_generator_makes_is_not() {
        for text in [
            "",
            ".",
            "a",
            "a.",
            ".b",
            "abcdefghi.b",
            "a.=",
            "a.b=c",
            "a.b c",
            "a.b,c",
            "a.b$c",
            "a.b%20",
            "a.b\n",
            "a.b\0",
            "a.\u{e9}",
            "\u{e9}.b",
            "a+.b",
            "a=.b",
            &format!("a.{}", "x".repeat(129)),
            &format!("a.{}=", "x".repeat(128)),
            &format!("abcdefgh.{}", "x".repeat(1 << 20)),
        ] {
            assert!(Key::parse(text).is_none(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_has_the_shape_is_a_key(text in "[A-Za-z0-9]{8}\\.[A-Za-z0-9]{32}") {
            let key = Key::parse(&text);
            prop_assert_eq!(key.map(Key::prefix), Some(&text[..8]));
            prop_assert_eq!(key.map(Key::is_generated), Some(true));
        }

        #[test]
        fn so_is_what_has_the_wider_one(
            prefix in "[A-Za-z0-9_-]{1,8}", secret in "[A-Za-z0-9._~+/-]{1,125}={0,3}",
        ) {
            let text = format!("{prefix}.{secret}");
            let key = Key::parse(&text);
            prop_assert_eq!(key.map(Key::halves), Some((&*prefix, &*secret)));
        }

        #[test]
        fn any_text_is_parsed_and_most_is_not_a_key(text in ".*") {
            let halves = text.split_once('.');
            let is_bounded = halves.is_some_and(|(prefix, secret)| {
                (1..=8).contains(&prefix.len()) && (1..=128).contains(&secret.len())
            });
            prop_assert!(is_bounded && text.is_ascii() || Key::parse(&text).is_none());
        }

        #[test]
        fn one_character_more_less_or_other_is_no_generated_key(
            at in 0..41usize, other in "[^A-Za-z0-9.]",
        ) {
            let is_generated = |text: &str| Key::parse(text).is_some_and(Key::is_generated);
            let mut longer = KEY.to_owned();
            longer.insert(at, 'x');
            prop_assert!(!is_generated(&longer));
            let mut shorter = KEY.to_owned();
            shorter.remove(at);
            prop_assert!(!is_generated(&shorter));
            let mut changed = KEY.to_owned();
            changed.replace_range(at..=at, &other);
            prop_assert!(!is_generated(&changed));
        }
    }
}
