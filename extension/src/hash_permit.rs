//! Slow hashes: the right to run one, and the memory that it takes.

#![allow(unsafe_code, reason = "it calls functions of Postgres")]

use crate::error;
use crate::gucs;
use crate::shmem::{Counter, HashSlots, Memory, Queue};
use apikey_core::{Argon2Params, Block};
use apikey_format::Key;
use memmap2::{Advice, MmapMut};
use pgrx::pg_sys::{self, panic::ErrorReport};
use std::cell::Cell;

/// The right to run one slow hash. It is given back when dropped, by an error too.
pub struct HashPermit(Memory);

impl HashPermit {
    /// Waits while `apikey.max_concurrent_hashes` others are at it. As any waiting in Postgres,
    /// that ends with an error when the statement is cancelled.
    pub fn wait(memory: Memory, key: Key<'_>) -> Self {
        pgrx::check_for_interrupts!();
        Self::take(memory).unwrap_or_else(|| {
            memory.counters.add(Counter::HashWaits);
            let waiting = Waiting::in_queue(memory.hash_slots, Queue::of(key.prefix()));
            memory.hash_slots.wait(waiting.queue, wait_event());
            Self(memory)
        })
    }

    /// One that is free, and that nobody waits for.
    pub fn take(memory: Memory) -> Option<Self> {
        memory.hash_slots.set_limit(gucs::max_concurrent_hashes());
        memory.hash_slots.take().then(|| Self(memory))
    }

    /// Whether the verifier was made from the key.
    pub fn verify(&self, key: Key<'_>, verifier: &str) -> Result<bool, ErrorReport> {
        self.0.counters.add(Counter::Hashes);
        apikey_core::verify(key, verifier, Blocks::allocate)
            .or_else(|failed| error::from_verify(failed).map_or(Ok(false), Err))
    }

    pub fn hash(&self, key: Key<'_>, params: Argon2Params) -> Result<String, ErrorReport> {
        self.0.counters.add(Counter::Hashes);
        apikey_core::hash(key, params, Blocks::allocate).map_err(error::from_hash)
    }
}

impl Drop for HashPermit {
    fn drop(&mut self) {
        self.0.hash_slots.give_back();
    }
}

thread_local! {
    /// Where this backend waits, if it does.
    static WAITS: Cell<Option<(&'static HashSlots, Queue)>> = const { Cell::new(None) };
    static LEAVES_AT_EXIT: Cell<bool> = const { Cell::new(false) };
}

/// A place in a queue. It is given up when dropped, by an error too, and at the end of a backend
/// that is told to end while it waits, which drops nothing: a queue in which nobody stands would
/// hold up all others.
struct Waiting {
    queue: Queue,
}

impl Waiting {
    fn in_queue(slots: &'static HashSlots, queue: Queue) -> Self {
        if !LEAVES_AT_EXIT.replace(true) {
            // SAFETY: it stays loaded as long as the backend, and raises no error. It runs while
            // the backend can still wake others.
            unsafe { pg_sys::on_shmem_exit(Some(leave_at_exit), pg_sys::Datum::null()) };
        }
        WAITS.set(Some((slots, queue)));
        slots.enter(queue);
        Self { queue }
    }

    fn leave() {
        if let Some((slots, queue)) = WAITS.take() {
            slots.leave(queue);
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        Self::leave();
    }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn leave_at_exit(_status: i32, _argument: pg_sys::Datum) {
    Waiting::leave();
}

/// What `pg_stat_activity` calls the waiting: `ApikeyHash`, before Postgres 17 just `Extension`.
fn wait_event() -> u32 {
    #[cfg(any(feature = "pg17", feature = "pg18"))]
    {
        static NAMED: std::sync::OnceLock<u32> = std::sync::OnceLock::new();
        // SAFETY: called in a backend that is attached to shared memory; Postgres copies the name.
        *NAMED.get_or_init(|| unsafe { pg_sys::WaitEventExtensionNew(c"ApikeyHash".as_ptr()) })
    }
    #[cfg(not(any(feature = "pg17", feature = "pg18")))]
    pg_sys::PG_WAIT_EXTENSION
}

/// The memory of one run of Argon2id. Dropped, it is the kernel's again: malloc would keep it for a
/// backend that may never hash again, and a hundred idle ones would hold two gigabytes.
struct Blocks(MmapMut);

impl Blocks {
    fn allocate(count: usize) -> Option<Self> {
        let memory = MmapMut::map_anon(count.checked_mul(size_of::<Block>())?).ok()?;
        // Large pages save thousands of page faults. Where the kernel has none, nothing is lost.
        let _ = memory.advise(Advice::HugePage);
        Some(Self(memory))
    }
}

impl AsMut<[Block]> for Blocks {
    fn as_mut(&mut self) -> &mut [Block] {
        let count = self.0.len() / size_of::<Block>();
        // SAFETY: the mapping is aligned to a page and holds `count` blocks, which are arrays of
        // numbers. It is borrowed for as long as the slice is.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), count) }
    }
}
