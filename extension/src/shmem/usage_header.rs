//! The usage of keys that is not stored yet, and what goes with it.

use crate::pg::lwlock::Lock;
use apikey_core::{Crowded, KeyId, Outcome, RehashTable, Usage, UsageTable};
use pgrx::pg_sys::{self, LWLock, Latch};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicPtr, AtomicU64, Ordering::SeqCst};

/// All zeros: nothing was counted.
#[repr(C, align(64))]
pub struct UsageHeader {
    next_generation: AtomicI64,
    /// Uses that were not counted, because there was no slot for their key.
    dropped: AtomicU64,
    /// Whether that, or want of room for a renewed hash, happened since the launcher looked.
    is_crowded: AtomicBool,
    launcher: AtomicPtr<Latch>,
    /// Whether somebody renews a hash at this moment.
    pub(super) is_rehashing: AtomicBool,
}

#[derive(Clone, Copy)]
pub struct UsageMemory {
    pub header: &'static UsageHeader,
    pub table: UsageTable<'static>,
    pub rehashes: RehashTable<'static>,
    pub(super) lock: *mut LWLock,
}

impl UsageMemory {
    /// Takes no lock unless the key was not used for long.
    pub fn count(self, key: KeyId, outcome: Outcome) -> Result<(), Crowded> {
        if self.table.count(key, outcome) {
            return Ok(());
        }
        let _alone = Lock::exclusive(self.lock);
        self.table.claim_and_count(key, outcome, || self.header.next_generation())
    }

    pub fn read(self) -> Vec<Usage> {
        let _shared = Lock::shared(self.lock);
        self.table.read().collect()
    }

    pub fn read_of(self, key: KeyId) -> Option<Usage> {
        let _shared = Lock::shared(self.lock);
        self.table.read_of(key)
    }

    pub fn unwritten(self) -> Vec<Usage> {
        let _shared = Lock::shared(self.lock);
        self.table.unwritten().collect()
    }

    pub fn written<'u>(self, batch: impl IntoIterator<Item = &'u Usage>) {
        let _shared = Lock::shared(self.lock);
        batch.into_iter().for_each(|usage| self.table.written(usage));
    }
}

impl UsageHeader {
    pub fn first_generation(&self, first: i64) {
        self.next_generation.store(first, SeqCst);
    }

    pub fn next_generation(&self) -> i64 {
        self.next_generation.fetch_add(1, SeqCst)
    }

    pub fn drop_one(&self) {
        self.dropped.fetch_add(1, SeqCst);
    }

    /// Uses that were not counted since the server started, for want of a slot.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(SeqCst)
    }

    /// Who is woken for an early round.
    pub fn set_launcher(&self, latch: *mut Latch) {
        self.launcher.store(latch, SeqCst);
    }

    /// An early one, since there is no room for more.
    pub fn ask_for_a_round(&self) {
        self.is_crowded.store(true, SeqCst);
        let launcher = self.launcher.load(SeqCst);
        if !launcher.is_null() {
            // SAFETY: the latch of a process's entry in shared memory, which is there as long as
            // this memory is. If the launcher is gone, nobody or somebody else wakes up, and goes
            // to sleep again.
            unsafe { pg_sys::SetLatch(launcher) };
        }
    }

    pub fn is_round_asked_for(&self) -> bool {
        self.is_crowded.load(SeqCst)
    }

    pub fn begin_round(&self) {
        self.is_crowded.store(false, SeqCst);
    }
}
