//! How many slow hashes run at once over all backends, and who waits for one to end.

use pgrx::pg_sys;
use std::cell::UnsafeCell;
use std::hash::{DefaultHasher, Hasher};
use std::sync::atomic::{AtomicI32, AtomicU32, AtomicUsize, Ordering::SeqCst};

/// Who waits stands in the queue of his prefix. By accident, two may share one.
const QUEUES: usize = 256;

/// Those who hash, and those who wait to. The queues take turns, so that whoever sends many wrong
/// secrets for one prefix waits for his own kind, and others for one of him.
#[repr(C)]
pub struct HashSlots {
    running: AtomicI32,
    /// As whoever came last has it: who waits reads no settings meanwhile.
    limit: AtomicI32,
    waiting: [AtomicU32; QUEUES],
    /// The queue that somebody was taken from last.
    last: AtomicUsize,
    freed: UnsafeCell<pg_sys::ConditionVariable>,
}

/// Names a queue.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Queue(usize);

impl Queue {
    pub fn of(prefix: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        hasher.write(prefix.as_bytes());
        Self((hasher.finish() % QUEUES as u64) as usize)
    }
}

impl HashSlots {
    /// # Safety
    /// `this` points to zeros that nobody uses yet.
    pub unsafe fn start(this: *mut Self) {
        // SAFETY: by the contract above.
        unsafe { pg_sys::ConditionVariableInit((*this).freed.get()) }
    }

    pub fn set_limit(&self, limit: i32) {
        if self.limit.swap(limit, SeqCst) != limit {
            self.wake_all();
        }
    }

    /// One that is free, and that nobody waits for.
    pub fn take(&self) -> bool {
        self.next().is_none() && self.begin()
    }

    pub fn give_back(&self) {
        self.running.fetch_sub(1, SeqCst);
        self.wake_all();
    }

    pub fn enter(&self, queue: Queue) {
        self.waiting[queue.0].fetch_add(1, SeqCst);
    }

    pub fn leave(&self, queue: Queue) {
        self.waiting[queue.0].fetch_sub(1, SeqCst);
        self.wake_all();
    }

    /// Sleeps until there is one for who stands in this queue, and takes it. Whatever changes whose
    /// turn it is wakes all who wait.
    pub fn wait(&self, queue: Queue, wait_event: u32) {
        let freed = self.freed.get();
        // SAFETY: the condition variable was initialised with its memory, and many processes may
        // use it. An error while it sleeps ends the transaction, which ends the sleep.
        unsafe {
            pg_sys::ConditionVariablePrepareToSleep(freed);
            while !(self.next() == Some(queue) && self.begin()) {
                pg_sys::ConditionVariableSleep(freed, wait_event);
            }
            self.last.store(queue.0, SeqCst);
            pg_sys::ConditionVariableCancelSleep();
        }
    }

    /// The queue whose turn it is, if anybody waits.
    fn next(&self) -> Option<Queue> {
        let after_last = self.last.load(SeqCst) + 1;
        let queues = (0..QUEUES).map(|step| (after_last + step) % QUEUES);
        queues.into_iter().find(|queue| self.waiting[*queue].load(SeqCst) > 0).map(Queue)
    }

    fn begin(&self) -> bool {
        let limit = self.limit.load(SeqCst);
        let next = |running| (running < limit).then_some(running + 1);
        self.running.fetch_update(SeqCst, SeqCst, next).is_ok()
    }

    fn wake_all(&self) {
        // All, not one: that one may be cancelled before it takes its turn, and the others would
        // sleep on. SAFETY: the condition variable was initialised with its memory. This takes spin
        // locks, sets latches, and raises no error.
        unsafe { pg_sys::ConditionVariableBroadcast(self.freed.get()) };
    }
}
