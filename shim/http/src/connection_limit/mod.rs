//! A bounded number of connections. When all slots are taken and another client comes, the
//! connection that has been waiting for its client for the longest, silent or slow, is evicted;
//! those that are being answered stay. If none can be evicted, a few more are let in to be told
//! that there is no room.

mod eviction;
mod shared;
mod slot;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use tracing::warn;

use crate::log_limit::LogLimit;
use crate::log_target;
use shared::{GRACE, Shared};
pub use slot::Slot;

/// How many connections at once are told that there is no room.
pub const MAX_REJECTED: usize = 128;

pub struct ConnectionLimit {
    limit: usize,
    shared: Arc<Shared>,
    /// The setting that a log line names.
    name: &'static str,
    evictions: LogLimit,
    rejections: LogLimit,
}

impl ConnectionLimit {
    /// `idle_grace` is how long an idle client may take to ask once more when we stop.
    pub fn new(limit: usize, idle_grace: Duration, name: &'static str) -> Arc<Self> {
        Arc::new(Self {
            limit,
            shared: Arc::new(Shared::new(idle_grace)),
            name,
            evictions: LogLimit::default(),
            rejections: LogLimit::default(),
        })
    }

    /// Waits until there is a free slot, a connection to evict, or room to say no.
    pub async fn wait_for_room(&self) {
        while !self.has_room() {
            let _ = timeout(GRACE, self.shared.slot_freed.notified()).await;
        }
    }

    fn has_room(&self) -> bool {
        let mut slots = self.shared.slots();
        slots.served() < self.limit
            || slots.rejected() < MAX_REJECTED
            || slots.oldest(self.shared.latest()).is_some()
    }

    /// The slot of a connection that has come.
    pub fn take_slot(&self) -> Slot {
        let since = self.shared.now();
        let mut slots = self.shared.slots();
        while slots.served() >= self.limit && slots.evict_oldest(self.shared.latest()) {
            if let Some(count) = self.evictions.count() {
                warn!(
                    target: log_target::CONNECTION,
                    count,
                    limit = self.name,
                    "clients that kept us waiting lose their connections to others"
                );
            }
        }
        let is_rejected = slots.served() >= self.limit;
        if is_rejected && let Some(count) = self.rejections.count() {
            warn!(
                target: log_target::CONNECTION,
                count,
                limit = self.name,
                "too many clients at once: some get a 503"
            );
        }
        let state = slots.take(since, is_rejected);
        drop(slots);
        if self.shared.is_stopping() {
            state.shutdown_signal.notify_one();
        }
        Slot { shared: self.shared.clone(), state }
    }

    /// Makes every response from now on the last one of its connection.
    pub fn stop(&self) {
        self.shared.stop();
    }

    pub fn open(&self) -> usize {
        self.shared.slots().open()
    }

    /// Resolves when all connections have ended.
    pub async fn all_closed(&self) {
        while self.open() > 0 {
            self.shared.slot_freed.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOMENT: Duration = GRACE.saturating_add(Duration::from_millis(10));

    fn full(size: usize) -> (Arc<ConnectionLimit>, Vec<Slot>) {
        let limit = ConnectionLimit::new(size, Duration::ZERO, "test");
        let taken = (0..size).map(|_| limit.take_slot()).collect();
        (limit, taken)
    }

    #[test]
    fn whoever_waits_longest_goes_first() {
        let (limit, taken) = full(40);
        std::thread::sleep(MOMENT);
        // The first one has asked something meanwhile, and the second is being answered.
        drop(taken[0].answering());
        let answering = taken[1].answering();
        let newer: Vec<_> = (0..5).map(|_| limit.take_slot()).collect();
        assert!(newer.iter().all(|slot| !slot.is_rejected()));
        let evicted: Vec<_> = taken.iter().map(Slot::is_evicted).collect();
        assert_eq!(evicted.iter().filter(|evicted| **evicted).count(), 5);
        assert_eq!(evicted[..8], [false, false, true, true, true, true, true, false]);
        assert!(taken[2].is_ending() && !taken[0].is_ending());
        drop(answering);
        assert_eq!(limit.open(), 45);
    }

    #[test]
    fn who_is_being_answered_stays_and_the_next_is_rejected() {
        let (limit, taken) = full(3);
        let answering: Vec<_> = taken.iter().map(Slot::answering).collect();
        std::thread::sleep(MOMENT);
        let next = limit.take_slot();
        assert!(next.is_rejected() && next.is_ending());
        assert!(taken.iter().all(|slot| !slot.is_evicted()));
        drop(answering);
        drop(taken);
        assert!(!limit.take_slot().is_rejected());
    }

    #[test]
    fn who_has_just_come_stays_for_a_moment() {
        let (limit, taken) = full(3);
        assert!(limit.take_slot().is_rejected());
        std::thread::sleep(MOMENT);
        assert!(!limit.take_slot().is_rejected());
        assert!(taken[0].is_evicted() && !taken[1].is_evicted());
    }

    #[test]
    fn who_is_done_goes_at_once() {
        let (limit, taken) = full(3);
        assert!(limit.take_slot().is_rejected());
        taken[1].set_idle();
        assert!(!limit.take_slot().is_rejected());
        assert!(taken[1].is_evicted() && !taken[0].is_evicted());
    }

    #[tokio::test]
    async fn without_room_one_waits_for_somebody_to_leave() {
        let (limit, taken) = full(2);
        let answering: Vec<_> = taken.iter().map(Slot::answering).collect();
        let rejected: Vec<_> = (0..MAX_REJECTED).map(|_| limit.take_slot()).collect();
        let busy: Vec<_> = rejected.iter().map(Slot::answering).collect();
        assert!(timeout(2 * MOMENT, limit.wait_for_room()).await.is_err());
        drop(answering);
        assert!(timeout(20 * MOMENT, limit.wait_for_room()).await.is_ok());
        drop(busy);
    }

    #[tokio::test]
    async fn stopping_tells_everybody_also_the_last_one_to_come() {
        let (limit, taken) = full(2);
        limit.stop();
        let last = limit.take_slot();
        for slot in taken.iter().chain([&last]) {
            assert!(slot.is_ending());
            assert!(timeout(20 * MOMENT, slot.must_end()).await.is_ok());
        }
        drop((taken, last));
        assert!(timeout(20 * MOMENT, limit.all_closed()).await.is_ok());
    }
}
