//! How often each key was accepted and refused, and when and from where last, without a write on the way:
//! counted in shared memory, seen there at once, and stored in `apikey.usage` from time to time.
//!
//! What is stored can be wrong in no order of events. A slot of memory has a number that no other has, and
//! counts up. A stored row names the slot and how much of its counts it has in it; the view adds the rest,
//! and storing adds the same rest. Storing once more, or failing to, changes no sum.

mod background_worker;
mod flush;
mod in_memory;
mod launcher;
mod leftover;
mod renewals;

pub use launcher::register;
pub use leftover::{leave, start};

use crate::gucs;
use crate::memory::usage_memory;
use crate::pg::lwlock::Lock;
use apikey_core::{Crowded, KeyId, Outcome, RenewalTable, Usage, UsageTable};
use pgrx::pg_sys;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicPtr, AtomicU64, Ordering::SeqCst};

/// All zeros: nothing was counted.
#[repr(C, align(64))]
pub struct Header {
    next_generation: AtomicI64,
    /// Uses that were not counted, because there was no slot for their key.
    dropped: AtomicU64,
    /// Whether that, or want of room for a renewed hash, happened since the launcher looked.
    is_crowded: AtomicBool,
    launcher: AtomicPtr<pg_sys::Latch>,
    /// Whether somebody renews a hash at this moment.
    pub is_renewing: AtomicBool,
}

#[derive(Clone, Copy)]
pub struct UsageMemory {
    pub header: &'static Header,
    pub table: UsageTable<'static>,
    pub renewals: RenewalTable<'static>,
    pub lock: *mut pg_sys::LWLock,
}

/// To be called once for each check of a key that exists. Takes no lock unless the key was not used for long.
pub fn count(prefix: &str, outcome: Outcome) {
    let Some(memory) = usage_memory().filter(|_| gucs::track_usage()) else { return };
    let Some(key) = KeyId::new(this_database(), prefix) else { return };
    if memory.table.count(key, outcome) {
        return;
    }
    let claimed = {
        let _alone = Lock::exclusive(memory.lock);
        memory.table.claim_and_count(key, outcome, || memory.header.next_generation())
    };
    if claimed == Err(Crowded) {
        memory.header.drop_one();
    }
}

/// Uses that were not counted since the server started, for want of a slot.
pub fn dropped() -> u64 {
    usage_memory().map_or(0, |memory| memory.header.dropped.load(SeqCst))
}

impl UsageMemory {
    fn read(self) -> Vec<Usage> {
        let _shared = Lock::shared(self.lock);
        self.table.read().collect()
    }

    fn read_of(self, key: KeyId) -> Option<Usage> {
        let _shared = Lock::shared(self.lock);
        self.table.read_of(key)
    }

    fn unwritten(self) -> Vec<Usage> {
        let _shared = Lock::shared(self.lock);
        self.table.unwritten().collect()
    }

    fn written<'u>(self, batch: impl IntoIterator<Item = &'u Usage>) {
        let _shared = Lock::shared(self.lock);
        batch.into_iter().for_each(|usage| self.table.written(usage));
    }
}

impl Header {
    fn next_generation(&self) -> i64 {
        self.next_generation.fetch_add(1, SeqCst)
    }

    fn drop_one(&self) {
        self.dropped.fetch_add(1, SeqCst);
        self.ask_for_a_round();
    }

    /// An early one, since there is no room for more.
    #[allow(unsafe_code)]
    pub fn ask_for_a_round(&self) {
        self.is_crowded.store(true, SeqCst);
        let launcher = self.launcher.load(SeqCst);
        if !launcher.is_null() {
            // SAFETY: the latch of a process's entry in shared memory, which is there as long as this memory is.
            // If the launcher is gone, nobody or somebody else wakes up, and goes to sleep again.
            unsafe { pg_sys::SetLatch(launcher) };
        }
    }
}

#[allow(unsafe_code)]
pub fn this_database() -> u32 {
    // SAFETY: set when the backend connected.
    unsafe { pg_sys::MyDatabaseId }.to_u32()
}
