//! Places for connections, a bounded number of them, and who gives up theirs when all are taken: the one that has been
//! waiting for its client for the longest, be it silent or slow. Those that get an answer at the moment keep
//! theirs. If nobody can be sent away, a few more are let in to be told that there is no place.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use slab::Slab;
use tokio::sync::Notify;
use tokio::time::timeout;
use tracing::warn;

use crate::seldom::Seldom;

/// How many are told at once that there is no place.
pub const TURNED_AWAY: usize = 128;
/// A client that has just come gets this long before its place can be taken away: its request is on the way.
const WELCOME: Duration = Duration::from_millis(100);
/// Of all, so many are looked up at a time as the next to go.
const PORTION: usize = 16;

pub struct Places {
    limit: usize,
    /// When we stop, how long an idle client may take to ask once more.
    grace: Duration,
    birth: Instant,
    stopping: AtomicBool,
    crowd: Mutex<Crowd>,
    somebody_left: Notify,
    sent_away: Seldom,
    turned_away: Seldom,
}

#[derive(Default)]
struct Crowd {
    taken: Slab<Arc<State>>,
    served: usize,
    /// Connections that have not ended yet, also those that were told to.
    open: usize,
    /// Some that wait, with since when, the oldest last. Whoever is not among them waits for less long.
    oldest: Vec<(u64, Arc<State>)>,
}

struct State {
    key: usize,
    is_turned_away: bool,
    /// Requests that are being answered: more than one with HTTP/2.
    in_flight: AtomicU32,
    /// The start of its waiting, in microseconds of the places' life, when nothing is in flight.
    since: AtomicU64,
    /// Its place is another's, or it has ended.
    is_gone: AtomicBool,
    told: Notify,
}

impl State {
    fn waits_since(&self) -> Option<u64> {
        let waits =
            !self.is_gone.load(Ordering::Acquire) && self.in_flight.load(Ordering::Acquire) == 0;
        waits.then(|| self.since.load(Ordering::Relaxed))
    }
}

impl Places {
    pub fn new(limit: usize, grace: Duration) -> Arc<Self> {
        Arc::new(Self {
            limit,
            grace,
            birth: Instant::now(),
            stopping: AtomicBool::new(false),
            crowd: Mutex::default(),
            somebody_left: Notify::new(),
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
        let turned_away = crowd.taken.len() - crowd.served;
        crowd.served < self.limit
            || turned_away < TURNED_AWAY
            || crowd.oldest(self.latest()).is_some()
    }

    /// For a connection that has come. Its place ends with the value.
    pub fn enter(self: &Arc<Self>) -> Place {
        let since = self.now();
        let mut crowd = self.crowd();
        crowd.open += 1;
        while crowd.served >= self.limit {
            let Some(oldest) = crowd.oldest(self.latest()) else {
                break;
            };
            crowd.leave(&oldest);
            oldest.told.notify_one();
            if let Some(count) = self.sent_away.count() {
                warn!(
                    count,
                    "clients that kept us waiting lose their places to others (--max-connections)"
                );
            }
        }
        let is_turned_away = crowd.served >= self.limit;
        if !is_turned_away {
            crowd.served += 1;
        } else if let Some(count) = self.turned_away.count() {
            warn!(count, "too many clients at once (--max-connections): some get a 503");
        }
        let entry = crowd.taken.vacant_entry();
        let state = Arc::new(State {
            key: entry.key(),
            is_turned_away,
            in_flight: AtomicU32::new(0),
            since: AtomicU64::new(since),
            is_gone: AtomicBool::new(false),
            told: Notify::new(),
        });
        entry.insert(state.clone());
        drop(crowd);
        if self.stopping.load(Ordering::Acquire) {
            state.told.notify_one();
        }
        Place { places: self.clone(), state }
    }

    /// From now on every answer is the last one of its connection.
    pub fn stop(&self) {
        let crowd = self.crowd();
        self.stopping.store(true, Ordering::Release);
        crowd.taken.iter().for_each(|(_, state)| state.told.notify_one());
    }

    pub fn open(&self) -> usize {
        self.crowd().open
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

impl Crowd {
    /// Finding it among all is dear, so a portion is found at once.
    fn oldest(&mut self, latest: u64) -> Option<Arc<State>> {
        for is_fresh in [false, true] {
            if is_fresh {
                self.oldest = self.next_to_go();
            }
            while let Some((since, state)) = self.oldest.last() {
                if state.waits_since() != Some(*since) {
                    self.oldest.pop();
                } else if *since <= latest {
                    return Some(state.clone());
                } else {
                    break;
                }
            }
        }
        None
    }

    fn next_to_go(&self) -> Vec<(u64, Arc<State>)> {
        let waiting = self.taken.iter();
        let mut waiting: Vec<_> =
            waiting.filter_map(|(key, state)| Some((state.waits_since()?, key))).collect();
        let portion = waiting.len().div_ceil(PORTION);
        if portion > 0 {
            waiting.select_nth_unstable(portion - 1);
        }
        waiting.truncate(portion);
        waiting.sort_unstable_by(|one, other| other.cmp(one));
        waiting.into_iter().map(|(since, key)| (since, self.taken[key].clone())).collect()
    }

    /// The first time, that is.
    fn leave(&mut self, state: &State) {
        if !state.is_gone.swap(true, Ordering::AcqRel) {
            self.taken.remove(state.key);
            self.served -= usize::from(!state.is_turned_away);
        }
    }
}

pub struct Place {
    places: Arc<Places>,
    state: Arc<State>,
}

impl Place {
    /// Until the end of the value, a request is being answered.
    pub fn answering(&self) -> Answering<'_> {
        self.state.in_flight.fetch_add(1, Ordering::AcqRel);
        Answering(self)
    }

    pub fn is_answering(&self) -> bool {
        self.state.in_flight.load(Ordering::Acquire) > 0
    }

    /// For how long it has been waiting for its client.
    pub fn waits_for(&self) -> Option<Duration> {
        let since = (!self.is_answering()).then(|| self.state.since.load(Ordering::Relaxed))?;
        Some(Duration::from_micros(self.places.now().saturating_sub(since)))
    }

    /// There is no place: all that it gets is a 503.
    pub fn is_turned_away(&self) -> bool {
        self.state.is_turned_away
    }

    /// Its place is another's.
    pub fn is_gone(&self) -> bool {
        self.state.is_gone.load(Ordering::Acquire)
    }

    /// Whether its next answer is its last.
    pub fn is_ending(&self) -> bool {
        self.is_turned_away() || self.is_gone() || self.places.stopping.load(Ordering::Acquire)
    }

    /// It is only waited for its client to hang up: its place can be taken right away.
    pub fn done(&self) {
        self.state.since.store(0, Ordering::Relaxed);
    }

    /// Resolves when its place is another's.
    pub async fn taken(&self) {
        while !self.is_gone() {
            self.told().await;
        }
    }

    /// Resolves when it is to end.
    pub async fn told(&self) {
        self.state.told.notified().await;
    }

    /// Resolves when it has to end, if it is not answering. A client whose connection was idle may have sent a
    /// request when we stop: it gets a moment, and its answer says that it is the last.
    pub async fn must_end(&self) {
        self.told().await;
        if !self.is_gone() {
            let _ = timeout(self.places.grace, self.told()).await;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut crowd = self.places.crowd();
        crowd.leave(&self.state);
        crowd.open -= 1;
        drop(crowd);
        self.places.somebody_left.notify_one();
    }
}

pub struct Answering<'a>(&'a Place);

impl Drop for Answering<'_> {
    fn drop(&mut self) {
        let Place { places, state } = self.0;
        state.since.store(places.now(), Ordering::Relaxed);
        state.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOMENT: Duration = WELCOME.saturating_add(Duration::from_millis(10));

    fn full(limit: usize) -> (Arc<Places>, Vec<Place>) {
        let places = Places::new(limit, Duration::ZERO);
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
