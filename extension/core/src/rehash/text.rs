//! A short text in memory that many processes share.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

const WORD: usize = size_of::<u64>();

/// Of up to so many words, and without a zero byte, as any text of Postgres. All zeros: empty.
#[repr(C)]
pub struct SharedText<const WORDS: usize>([AtomicU64; WORDS]);

/// The same as a value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Words<const WORDS: usize>([u64; WORDS]);

impl<const WORDS: usize> SharedText<WORDS> {
    pub fn store(&self, words: Words<WORDS>) {
        self.0.iter().zip(words.0).for_each(|(shared, word)| shared.store(word, SeqCst));
    }

    pub fn load(&self) -> Words<WORDS> {
        Words(std::array::from_fn(|at| self.0[at].load(SeqCst)))
    }
}

impl<const WORDS: usize> Default for SharedText<WORDS> {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::default()))
    }
}

impl<const WORDS: usize> Words<WORDS> {
    /// `None` for a text that is too long.
    pub fn of(text: &str) -> Option<Self> {
        let mut words = [0; WORDS];
        for (at, bytes) in text.as_bytes().chunks(WORD).enumerate() {
            let mut word = [0; WORD];
            word[..bytes.len()].copy_from_slice(bytes);
            *words.get_mut(at)? = u64::from_le_bytes(word);
        }
        Some(Self(words))
    }
}

impl<const WORDS: usize> std::fmt::Display for Words<WORDS> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bytes: Vec<_> = self.0.iter().flat_map(|word| word.to_le_bytes()).collect();
        f.write_str(String::from_utf8_lossy(&bytes).trim_end_matches('\0'))
    }
}
