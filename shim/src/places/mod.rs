//! Places for connections, a bounded number of them, and who gives up theirs when all are taken: the one that has been
//! waiting for its client for the longest, be it silent or slow. Those that get an answer at the moment keep
//! theirs. If nobody can be sent away, a few more are let in to be told that there is no place.

mod crowd;
mod place;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::time::timeout;
use tracing::warn;

use crate::seldom::Seldom;
use crowd::Crowd;
pub use place::Place;

/// How many are told at once that there is no place.
pub const TURNED_AWAY: usize = 128;
/// A client that has just come gets this long before its place can be taken away: its request is on the way.
const WELCOME: Duration = Duration::from_millis(100);

pub struct Places {
    limit: usize,
    /// When we stop, how long an idle client may take to ask once more.
    grace: Duration,
    birth: Instant,
    stopping: AtomicBool,
    crowd: Mutex<Crowd>,
    somebody_left: Notify,
    /// Whose places these are, for the log.
    of: &'static str,
    sent_away: Seldom,
    turned_away: Seldom,
}

impl Places {
    pub fn new(limit: usize, grace: Duration, of: &'static str) -> Arc<Self> {
        Arc::new(Self {
            limit,
            grace,
            birth: Instant::now(),
            stopping: AtomicBool::new(false),
            crowd: Mutex::default(),
            somebody_left: Notify::new(),
            of,
            sent_away: Seldom::new(),
            turned_away: Seldom::new(),
        })
    }

    /// Waits until there is a place, or somebody to send away, or time to say no.
    pub async fn room(&self) {
        while !self.has_room() {
            let _ = timeout(WELCOME, self.somebody_left.notified()).await;
        }
    }

    fn has_room(&self) -> bool {
        let mut crowd = self.crowd();
        crowd.served() < self.limit
            || crowd.turned_away() < TURNED_AWAY
            || crowd.oldest(self.latest()).is_some()
    }

    /// For a connection that has come.
    pub fn enter(self: &Arc<Self>) -> Place {
        let since = self.now();
        let mut crowd = self.crowd();
        while crowd.served() >= self.limit && crowd.send_oldest_away(self.latest()) {
            if let Some(count) = self.sent_away.count() {
                warn!(
                    count,
                    of = self.of,
                    "clients that kept us waiting lose their places to others"
                );
            }
        }
        let is_turned_away = crowd.served() >= self.limit;
        if is_turned_away && let Some(count) = self.turned_away.count() {
            warn!(count, of = self.of, "too many clients at once: some get a 503");
        }
        let state = crowd.enter(since, is_turned_away);
        drop(crowd);
        if self.is_stopping() {
            state.told.notify_one();
        }
        Place { places: self.clone(), state }
    }

    /// From now on every answer is the last one of its connection.
    pub fn stop(&self) {
        let crowd = self.crowd();
        self.stopping.store(true, Ordering::Release);
        crowd.tell_all();
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    pub fn open(&self) -> usize {
        self.crowd().open()
    }

    pub async fn empty(&self) {
        while self.open() > 0 {
            self.somebody_left.notified().await;
        }
    }

    fn crowd(&self) -> MutexGuard<'_, Crowd> {
        self.crowd.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// In microseconds. It begins where a newcomer is one, so that zero is older than anybody.
    fn now(&self) -> u64 {
        (self.birth.elapsed() + WELCOME).as_micros() as u64 + 1
    }

    /// Who waits since then or before can be sent away.
    fn latest(&self) -> u64 {
        self.now() - WELCOME.as_micros() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOMENT: Duration = WELCOME.saturating_add(Duration::from_millis(10));

    fn full(limit: usize) -> (Arc<Places>, Vec<Place>) {
        let places = Places::new(limit, Duration::ZERO, "test");
        let taken = (0..limit).map(|_| places.enter()).collect();
        (places, taken)
    }

    #[test]
    fn whoever_waits_longest_goes_first() {
        let (places, taken) = full(40);
        std::thread::sleep(MOMENT);
        // The first one has asked something meanwhile, and the second is being answered.
        drop(taken[0].answering());
        let answering = taken[1].answering();
        let newer: Vec<_> = (0..5).map(|_| places.enter()).collect();
        assert!(newer.iter().all(|place| !place.is_turned_away()));
        let gone: Vec<_> = taken.iter().map(Place::is_gone).collect();
        assert_eq!(gone.iter().filter(|gone| **gone).count(), 5);
        assert_eq!(gone[..8], [false, false, true, true, true, true, true, false]);
        assert!(taken[2].is_ending() && !taken[0].is_ending());
        drop(answering);
        assert_eq!(places.open(), 45);
    }

    #[test]
    fn who_is_being_answered_stays_and_the_next_is_turned_away() {
        let (places, taken) = full(3);
        let answering: Vec<_> = taken.iter().map(Place::answering).collect();
        std::thread::sleep(MOMENT);
        let next = places.enter();
        assert!(next.is_turned_away() && next.is_ending());
        assert!(taken.iter().all(|place| !place.is_gone()));
        drop(answering);
        drop(taken);
        assert!(!places.enter().is_turned_away());
    }

    #[test]
    fn who_has_just_come_stays_for_a_moment() {
        let (places, taken) = full(3);
        assert!(places.enter().is_turned_away());
        std::thread::sleep(MOMENT);
        assert!(!places.enter().is_turned_away());
        assert!(taken[0].is_gone() && !taken[1].is_gone());
    }

    #[test]
    fn who_is_done_goes_at_once() {
        let (places, taken) = full(3);
        assert!(places.enter().is_turned_away());
        taken[1].done();
        assert!(!places.enter().is_turned_away());
        assert!(taken[1].is_gone() && !taken[0].is_gone());
    }

    #[tokio::test]
    async fn without_room_one_waits_for_somebody_to_leave() {
        let (places, taken) = full(2);
        let answering: Vec<_> = taken.iter().map(Place::answering).collect();
        let no_places: Vec<_> = (0..TURNED_AWAY).map(|_| places.enter()).collect();
        let busy: Vec<_> = no_places.iter().map(Place::answering).collect();
        assert!(timeout(2 * MOMENT, places.room()).await.is_err());
        drop(answering);
        assert!(timeout(20 * MOMENT, places.room()).await.is_ok());
        drop(busy);
    }

    #[tokio::test]
    async fn stopping_tells_everybody_also_the_last_one_to_come() {
        let (places, taken) = full(2);
        places.stop();
        let last = places.enter();
        for place in taken.iter().chain([&last]) {
            assert!(place.is_ending());
            assert!(timeout(20 * MOMENT, place.must_end()).await.is_ok());
        }
        drop((taken, last));
        assert!(timeout(20 * MOMENT, places.empty()).await.is_ok());
    }
}
