//! How often each key was accepted and refused, and when and from where last: counted in memory
//! that many processes share, and written elsewhere from time to time.
//!
//! A key that is in use has a slot. Finding it and counting takes no lock. Giving it one, or
//! reading all of them, takes the table's lock, which is the caller's to hold: no slot changes
//! hands while somebody reads.

mod last_use;
mod saved;
mod slot;

pub use last_use::LastUse;
pub use slot::{Counts, Slot};

use crate::random::{self, NoRandomness};
use std::net::IpAddr;

/// The slots that a key can be in: eight that stand together.
const WAYS: usize = 8;

/// A key, in a server that has many databases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyId {
    pub database: u32,
    pub(crate) prefix: u64,
}

/// What a check came to, for the count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A valid key from a right address (`None`: unknown), at this time in Postgres's microseconds.
    Accepted(i64, Option<IpAddr>),
    Refused,
}

/// What a slot has counted since it was given to the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    pub key: KeyId,
    /// Names the slot from when it was given to the key until it is given to another one: no other
    /// has the same number, in this run of the server or in another.
    pub generation: i64,
    pub counts: Counts,
    pub last_use: Option<LastUse>,
}

/// There is no slot to give away: each that the key could have has counts that are not written yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crowded;

#[derive(Clone, Copy)]
pub struct UsageTable<'a>(&'a [Slot]);

impl KeyId {
    /// `None` for what is no prefix: it has not 1 to 8 bytes, or a zero among them, which is what
    /// fills up a short one, and what a slot without a key has.
    pub fn new(database: u32, prefix: &str) -> Option<Self> {
        let mut bytes = [0; 8];
        bytes.get_mut(..prefix.len())?.copy_from_slice(prefix.as_bytes());
        let is_prefix = !prefix.is_empty() && !prefix.as_bytes().contains(&0);
        is_prefix.then_some(Self { database, prefix: u64::from_le_bytes(bytes) })
    }

    pub fn prefix(self) -> String {
        let bytes = self.prefix.to_le_bytes();
        String::from_utf8_lossy(&bytes).trim_end_matches('\0').to_owned()
    }

    /// Prefixes are random, but each byte of one has less than 6 random bits: they are multiplied
    /// into each other, and the database with them.
    fn hash(self) -> u64 {
        let mixed = (self.prefix ^ u64::from(self.database)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (mixed ^ (mixed >> 32)).wrapping_mul(0xD6E8_FEB8_6659_FD93)
    }
}

impl<'a> UsageTable<'a> {
    /// Slots that are all zeros are an empty table. What is left over of the last eight is not
    /// used.
    pub const fn new(slots: &'a [Slot]) -> Self {
        Self(slots)
    }

    /// Counts, if the key has a slot; `false` if not.
    pub fn count(self, key: KeyId, outcome: Outcome) -> bool {
        let Some(slot) = self.bucket(key).iter().find_map(|slot| slot.pin(key)) else {
            return false;
        };
        slot.count(outcome);
        true
    }

    /// Gives the key a slot and counts. Only under the table's lock, alone.
    pub fn claim_and_count(
        self,
        key: KeyId,
        outcome: Outcome,
        generation: impl FnOnce() -> i64,
    ) -> Result<(), Crowded> {
        // Somebody may have given it one since the caller looked.
        if self.count(key, outcome) {
            return Ok(());
        }
        self.claim(key, generation)?.count(outcome);
        Ok(())
    }

    /// Gives a key that has none a slot that has counted this already. Before anybody uses the
    /// table.
    pub fn resume(self, usage: &Usage) -> Result<(), Crowded> {
        self.claim(usage.key, || usage.generation)?.resume(usage);
        Ok(())
    }

    /// What all slots have counted. Only under the table's lock.
    pub fn read(self) -> impl Iterator<Item = Usage> + 'a {
        self.0.iter().filter_map(Slot::read)
    }

    /// What the key's slot has counted. Only under the table's lock.
    pub fn read_of(self, key: KeyId) -> Option<Usage> {
        self.bucket(key).iter().filter_map(Slot::read).find(|usage| usage.key == key)
    }

    /// Those that have counted something that is not written yet. Only under the table's lock.
    pub fn unwritten(self) -> impl Iterator<Item = Usage> + 'a {
        self.0.iter().filter(|slot| !slot.is_written()).filter_map(Slot::read)
    }

    /// As much of it as is not written. Only under the table's lock, or where nobody counts any
    /// more.
    pub fn to_save(self) -> impl Iterator<Item = Usage> + 'a {
        self.0.iter().filter_map(Slot::to_save)
    }

    /// Notes that this much is written. Only under the table's lock.
    pub fn written(self, usage: &Usage) {
        let slots = self.bucket(usage.key).iter();
        slots.for_each(|slot| slot.written(usage.generation, usage.counts));
    }

    /// The slot that was used the longest ago, an empty one first.
    fn claim(self, key: KeyId, generation: impl FnOnce() -> i64) -> Result<&'a Slot, Crowded> {
        let mut slots: Vec<_> = self.bucket(key).iter().collect();
        slots.sort_by_cached_key(|slot| slot.last_used_at());
        let slot = slots.into_iter().find(|slot| slot.take_away()).ok_or(Crowded)?;
        slot.give_to(key, generation());
        Ok(slot)
    }

    fn bucket(self, key: KeyId) -> &'a [Slot] {
        let buckets = (self.0.len() / WAYS) as u128;
        let number = ((u128::from(key.hash()) * buckets) >> 64) as usize;
        self.0.get(number * WAYS..).and_then(|rest| rest.get(..WAYS)).unwrap_or_default()
    }
}

/// Where a run of the server begins to number its slots: 62 random bits, so that no two runs meet.
/// 0 is the number of a slot that was nobody's yet.
pub fn first_generation() -> Result<i64, NoRandomness> {
    let mut bytes = [0; 8];
    random::fill(&mut bytes)?;
    Ok(generation(bytes))
}

fn generation(random: [u8; 8]) -> i64 {
    (u64::from_le_bytes(random) >> 2).cast_signed() + 1
}

#[cfg(test)]
mod tests;
