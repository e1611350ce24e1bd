//! The counts of one key.
//!
//! Everything but the last use is sequentially consistent: all processes see one order of all that
//! is done to slots. On x86 that costs nothing more, since an addition is locked in any case.

use super::last_use::{LastUse, LastUseCell};
use super::{KeyId, Outcome, Usage};
use std::ops::Deref;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64};

/// Two lines of the processor's cache, which no other slot shares. All zeros: nobody's.
#[repr(C, align(64))]
#[derive(Default)]
pub struct Slot {
    /// 0: nobody's, or about to change hands.
    prefix: AtomicU64,
    database: AtomicU32,
    /// How many count in it at this moment.
    pins: AtomicU32,
    generation: AtomicI64,
    counts: Atomics,
    written: Atomics,
    last_use: LastUseCell,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub accepted: i64,
    pub refused: i64,
}

#[repr(C)]
#[derive(Default)]
struct Atomics {
    accepted: AtomicI64,
    refused: AtomicI64,
}

/// A slot that stays its key's for as long as this exists.
pub struct Pinned<'a>(&'a Slot);

impl Slot {
    /// If this is the key's slot, it is so until it is unpinned.
    ///
    /// Here a pin is added first, and then it is looked whose slot this is. `take_away` takes the
    /// prefix away first, and then looks for pins. In the one order of all four, one of the two
    /// comes second and sees what the other did: either this finds no prefix, or that finds a pin.
    pub fn pin(&self, key: KeyId) -> Option<Pinned<'_>> {
        if !self.is_of(key) {
            return None; // Without writing to a slot of somebody else.
        }
        self.pins.fetch_add(1, SeqCst);
        let pinned = Pinned(self);
        self.is_of(key).then_some(pinned)
    }

    /// The prefix is read first: `give_to` writes it last.
    fn is_of(&self, key: KeyId) -> bool {
        self.prefix.load(SeqCst) == key.prefix && self.database.load(SeqCst) == key.database
    }

    /// The last use comes first, so that whoever reads a count and then the last use has one at
    /// least as new.
    pub fn count(&self, outcome: Outcome) {
        match outcome {
            Outcome::Accepted(at, from) => {
                self.last_use.write(LastUse { at, from });
                self.counts.accepted.fetch_add(1, SeqCst);
            }
            Outcome::Refused => {
                self.counts.refused.fetch_add(1, SeqCst);
            }
        }
    }

    pub fn last_used_at(&self) -> i64 {
        self.last_use.at()
    }

    pub fn is_written(&self) -> bool {
        self.counts.get() == self.written.get()
    }

    /// Makes it nobody's, unless it has counts that are not written or somebody is counting in it.
    pub fn take_away(&self) -> bool {
        if !self.is_written() {
            return false;
        }
        let prefix = self.prefix.swap(0, SeqCst);
        // See `pin`. With the last pin gone, what was counted under it is seen here.
        let is_free = self.pins.load(SeqCst) == 0 && self.is_written();
        if !is_free {
            // Whoever looked for the slot meanwhile looks again under the table's lock.
            self.prefix.store(prefix, SeqCst);
        }
        is_free
    }

    /// Only of nobody's slot.
    pub fn give_to(&self, key: KeyId, generation: i64) {
        self.counts.set(Counts::default());
        self.written.set(Counts::default());
        self.last_use.clear();
        self.generation.store(generation, SeqCst);
        self.database.store(key.database, SeqCst);
        self.prefix.store(key.prefix, SeqCst);
    }

    /// Of a slot that was just given away.
    pub fn resume(&self, usage: &Usage) {
        if let Some(used) = usage.last_use {
            self.last_use.write(used);
        }
        self.counts.set(usage.counts);
    }

    pub fn read(&self) -> Option<Usage> {
        let key = KeyId { database: self.database.load(SeqCst), prefix: self.prefix.load(SeqCst) };
        let generation = self.generation.load(SeqCst);
        let counts = self.counts.get();
        // Where the last use cannot be read, its counts wait for it.
        let last_use = self.last_use.read().ok()?;
        (key.prefix != 0).then_some(Usage { key, generation, counts, last_use })
    }

    /// Without the counts that are written.
    pub fn to_save(&self) -> Option<Usage> {
        let usage = self.read()?;
        let written = self.written.get();
        let counts = Counts {
            accepted: usage.counts.accepted - written.accepted,
            refused: usage.counts.refused - written.refused,
        };
        (counts != Counts::default()).then_some(Usage { counts, ..usage })
    }

    /// Never back: two may say so in the wrong order.
    pub fn written(&self, generation: i64, counts: Counts) {
        if self.generation.load(SeqCst) == generation {
            self.written.accepted.fetch_max(counts.accepted, SeqCst);
            self.written.refused.fetch_max(counts.refused, SeqCst);
        }
    }
}

impl Deref for Pinned<'_> {
    type Target = Slot;

    fn deref(&self) -> &Slot {
        self.0
    }
}

impl Drop for Pinned<'_> {
    fn drop(&mut self) {
        self.0.pins.fetch_sub(1, SeqCst);
    }
}

impl Atomics {
    fn get(&self) -> Counts {
        Counts { accepted: self.accepted.load(SeqCst), refused: self.refused.load(SeqCst) }
    }

    fn set(&self, counts: Counts) {
        self.accepted.store(counts.accepted, SeqCst);
        self.refused.store(counts.refused, SeqCst);
    }
}
