//! Slow hashes: how many run at once over all backends, and the memory that one takes.

use crate::error;
use crate::gucs;
use crate::memory::Memory;
use crate::stats::Counter;
use apikey_core::{Argon2Params, Block};
use apikey_format::Key;
use memmap2::{Advice, MmapMut};
use pgrx::pg_sys::{self, panic::ErrorReport};
use std::cell::{Cell, UnsafeCell};
use std::hash::{DefaultHasher, Hasher};
use std::sync::atomic::{AtomicI32, AtomicU32, AtomicUsize, Ordering::SeqCst};

/// Who waits for a turn stands in the queue of his prefix. By accident, two may share one.
const QUEUES: usize = 256;

/// Those who hash, and those who wait for their turn. The queues take turns, so that whoever sends many wrong secrets
/// for one prefix waits for his own kind, and others for one of him.
#[repr(C)]
pub struct Hashing {
    running: AtomicI32,
    /// As whoever came last has it: who waits reads no settings meanwhile.
    limit: AtomicI32,
    waiting: [AtomicU32; QUEUES],
    /// The queue that somebody was taken from last.
    last: AtomicUsize,
    freed: UnsafeCell<pg_sys::ConditionVariable>,
}

impl Hashing {
    /// # Safety
    /// `this` points to zeros that nobody uses yet.
    #[allow(unsafe_code)]
    pub unsafe fn start(this: *mut Self) {
        // SAFETY: by the contract above.
        unsafe { pg_sys::ConditionVariableInit((*this).freed.get()) }
    }

    fn take_up_limit(&self) {
        let limit = gucs::max_concurrent_hashes();
        if self.limit.swap(limit, SeqCst) != limit {
            self.wake_all();
        }
    }

    /// The queue whose turn it is, if anybody waits.
    fn next(&self) -> Option<usize> {
        let after_last = self.last.load(SeqCst) + 1;
        let queues = (0..QUEUES).map(|step| (after_last + step) % QUEUES);
        queues.into_iter().find(|queue| self.waiting[*queue].load(SeqCst) > 0)
    }

    #[allow(unsafe_code)]
    fn wake_all(&self) {
        // All, not one: that one may be cancelled before it takes its turn, and the others would sleep on.
        // SAFETY: the condition variable was initialised with its memory. This takes spin locks, sets latches, and raises
        // no error.
        unsafe { pg_sys::ConditionVariableBroadcast(self.freed.get()) };
    }
}

/// The right to run one slow hash. It is given back when dropped, by an error too.
pub struct Turn(Memory);

impl Turn {
    /// Waits while `apikey.max_concurrent_hashes` others are at it. As any waiting in Postgres, that ends with an error
    /// when the statement is cancelled.
    pub fn wait(memory: Memory, key: Key<'_>) -> Self {
        pgrx::check_for_interrupts!();
        Self::take(memory).unwrap_or_else(|| {
            memory.counters.add(Counter::HashWaits);
            Self::sleep(memory, Waiting::in_queue(memory.hashing, key.prefix()))
        })
    }

    /// One that is free, and that nobody waits for.
    pub fn take(memory: Memory) -> Option<Self> {
        memory.hashing.take_up_limit();
        memory.hashing.next().is_none().then(|| Self::begin(memory)).flatten()
    }

    fn begin(memory: Memory) -> Option<Self> {
        let limit = memory.hashing.limit.load(SeqCst);
        let next = |running| (running < limit).then_some(running + 1);
        memory.hashing.running.fetch_update(SeqCst, SeqCst, next).ok().map(|_| Self(memory))
    }

    /// Whatever changes whose turn it is wakes all who wait.
    #[allow(unsafe_code)]
    fn sleep(memory: Memory, waiting: Waiting) -> Self {
        let hashing = memory.hashing;
        let freed = hashing.freed.get();
        // SAFETY: the condition variable was initialised with its memory, and many processes may use it. An error while
        // it sleeps ends the transaction, which ends the sleep.
        unsafe {
            pg_sys::ConditionVariablePrepareToSleep(freed);
            let turn = loop {
                let is_next = hashing.next() == Some(waiting.queue);
                if let Some(turn) = is_next.then(|| Self::begin(memory)).flatten() {
                    hashing.last.store(waiting.queue, SeqCst);
                    break turn;
                }
                pg_sys::ConditionVariableSleep(freed, wait_event());
            };
            pg_sys::ConditionVariableCancelSleep();
            turn
        }
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

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.hashing.running.fetch_sub(1, SeqCst);
        self.0.hashing.wake_all();
    }
}

thread_local! {
    /// Where this backend waits, if it does.
    static WAITS: Cell<Option<(&'static Hashing, usize)>> = const { Cell::new(None) };
    static LEAVES_AT_EXIT: Cell<bool> = const { Cell::new(false) };
}

/// A place in a queue. It is given up when dropped, by an error too, and at the end of a backend that is told to end
/// while it waits, which drops nothing: a queue in which nobody stands would hold up all others.
struct Waiting {
    queue: usize,
}

impl Waiting {
    #[allow(unsafe_code)]
    fn in_queue(hashing: &'static Hashing, prefix: &str) -> Self {
        if !LEAVES_AT_EXIT.replace(true) {
            // SAFETY: it stays loaded as long as the backend, and raises no error. It runs while the backend can still wake others.
            unsafe { pg_sys::on_shmem_exit(Some(leave_at_exit), pg_sys::Datum::null()) };
        }
        let mut hasher = DefaultHasher::new();
        hasher.write(prefix.as_bytes());
        let queue = (hasher.finish() % QUEUES as u64) as usize;
        WAITS.set(Some((hashing, queue)));
        hashing.waiting[queue].fetch_add(1, SeqCst);
        Self { queue }
    }

    fn leave() {
        if let Some((hashing, queue)) = WAITS.take() {
            hashing.waiting[queue].fetch_sub(1, SeqCst);
            hashing.wake_all();
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        Self::leave();
    }
}

#[pgrx::pg_guard]
#[allow(unsafe_code)]
unsafe extern "C-unwind" fn leave_at_exit(_status: i32, _argument: pg_sys::Datum) {
    Waiting::leave();
}

/// What `pg_stat_activity` calls the waiting: `ApikeyHash`, before Postgres 17 just `Extension`.
fn wait_event() -> u32 {
    #[cfg(any(feature = "pg17", feature = "pg18"))]
    {
        static NAMED: std::sync::OnceLock<u32> = std::sync::OnceLock::new();
        // SAFETY: called in a backend that is attached to shared memory; Postgres copies the name.
        #[allow(unsafe_code)]
        *NAMED.get_or_init(|| unsafe { pg_sys::WaitEventExtensionNew(c"ApikeyHash".as_ptr()) })
    }
    #[cfg(not(any(feature = "pg17", feature = "pg18")))]
    pg_sys::PG_WAIT_EXTENSION
}

/// The memory of one run of Argon2id. Dropped, it is the kernel's again: malloc would keep it for a backend that may
/// never hash again, and a hundred idle ones would hold two gigabytes.
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
    #[allow(unsafe_code)]
    fn as_mut(&mut self) -> &mut [Block] {
        let count = self.0.len() / size_of::<Block>();
        // SAFETY: the mapping is aligned to a page and holds `count` blocks, which are arrays of numbers. It is borrowed
        // for as long as the slice is.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), count) }
    }
}
