//! Who has a place, and who of them has been waiting for their client for the longest.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use slab::Slab;
use tokio::sync::Notify;

/// Of all, so many are looked up at a time as the next to go.
const PORTION: usize = 16;

#[derive(Default)]
pub struct Crowd {
    taken: Slab<Arc<State>>,
    served: usize,
    /// Connections that have not ended yet, also those that were told to.
    open: usize,
    /// Some that wait, with since when, the oldest last. Whoever is not among them waits for less long.
    oldest: Vec<(u64, Arc<State>)>,
}

pub struct State {
    key: usize,
    pub is_turned_away: bool,
    /// Requests that are being answered: more than one with HTTP/2.
    pub in_flight: AtomicU32,
    /// The start of its waiting, in microseconds of the places' life, when nothing is in flight.
    pub since: AtomicU64,
    /// Whether anything was ever in flight.
    pub has_asked: AtomicBool,
    /// Its place is another's, or it has ended.
    is_gone: AtomicBool,
    pub told: Notify,
}

impl State {
    pub fn is_answering(&self) -> bool {
        self.in_flight.load(Ordering::Acquire) > 0
    }

    pub fn is_gone(&self) -> bool {
        self.is_gone.load(Ordering::Acquire)
    }

    fn waits_since(&self) -> Option<u64> {
        let waits = !self.is_gone() && !self.is_answering();
        waits.then(|| self.since.load(Ordering::Relaxed))
    }
}

impl Crowd {
    /// Those that get answers, unlike the turned away.
    pub fn served(&self) -> usize {
        self.served
    }

    pub fn turned_away(&self) -> usize {
        self.taken.len() - self.served
    }

    pub fn open(&self) -> usize {
        self.open
    }

    pub fn enter(&mut self, since: u64, is_turned_away: bool) -> Arc<State> {
        let entry = self.taken.vacant_entry();
        let state = Arc::new(State {
            key: entry.key(),
            is_turned_away,
            in_flight: AtomicU32::new(0),
            since: AtomicU64::new(since),
            has_asked: AtomicBool::new(false),
            is_gone: AtomicBool::new(false),
            told: Notify::new(),
        });
        entry.insert(state.clone());
        self.served += usize::from(!is_turned_away);
        self.open += 1;
        state
    }

    /// Its connection has ended.
    pub fn end(&mut self, state: &State) {
        self.leave(state);
        self.open -= 1;
    }

    /// Whoever waits for the longest loses their place, if that is since then or before.
    pub fn send_oldest_away(&mut self, latest: u64) -> bool {
        let Some(oldest) = self.oldest(latest) else {
            return false;
        };
        self.leave(&oldest);
        oldest.told.notify_one();
        true
    }

    pub fn tell_all(&self) {
        self.taken.iter().for_each(|(_, state)| state.told.notify_one());
    }

    /// Finding it among all is dear, so a portion is found at once.
    pub fn oldest(&mut self, latest: u64) -> Option<Arc<State>> {
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
