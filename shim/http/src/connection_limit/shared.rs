//! What a limit and its slots share.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;

use super::eviction::Slots;

/// A new connection cannot be evicted for this long: its request is on the way.
pub const GRACE: Duration = Duration::from_millis(100);

pub struct Shared {
    pub idle_grace: Duration,
    pub slot_freed: Notify,
    birth: Instant,
    stopping: AtomicBool,
    slots: Mutex<Slots>,
}

impl Shared {
    pub fn new(idle_grace: Duration) -> Self {
        Self {
            idle_grace,
            slot_freed: Notify::new(),
            birth: Instant::now(),
            stopping: AtomicBool::new(false),
            slots: Mutex::default(),
        }
    }

    pub fn slots(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock()
    }

    pub fn stop(&self) {
        let slots = self.slots();
        self.stopping.store(true, Ordering::Release);
        slots.signal_all();
    }

    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// In microseconds. It begins after the grace of a new connection, so that zero is older than
    /// any.
    pub fn now(&self) -> u64 {
        (self.birth.elapsed() + GRACE).as_micros() as u64 + 1
    }

    /// A connection that began to wait then or before can be evicted.
    pub fn latest(&self) -> u64 {
        self.now() - GRACE.as_micros() as u64
    }
}
