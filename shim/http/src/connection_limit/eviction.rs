//! Which connections have a slot, and which of them has been waiting for its client for the
//! longest.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use slab::Slab;
use tokio::sync::Notify;

/// One scan collects 1/16 of the connections as candidates for eviction.
const PORTION: usize = 16;

#[derive(Default)]
pub struct Slots {
    taken: Slab<Arc<State>>,
    served: usize,
    /// Connections that have not ended yet, also those that were told to.
    open: usize,
    /// Candidates for eviction, with the start of their waiting, the oldest last. Whoever is not
    /// among them has been waiting for less long.
    oldest: Vec<(u64, Arc<State>)>,
}

pub struct State {
    key: usize,
    /// All that the client gets is a 503.
    pub is_rejected: bool,
    /// Requests that are being answered: more than one with HTTP/2.
    pub in_flight: AtomicU32,
    /// When the connection began to wait for its client, in microseconds of the limit's life. It
    /// means nothing while a request is in flight.
    pub since: AtomicU64,
    /// Whether a request was ever in flight.
    pub has_asked: AtomicBool,
    /// The slot is another connection's, or the connection has ended.
    is_evicted: AtomicBool,
    pub shutdown_signal: Notify,
}

impl State {
    pub fn is_answering(&self) -> bool {
        self.in_flight.load(Ordering::Acquire) > 0
    }

    pub fn is_evicted(&self) -> bool {
        self.is_evicted.load(Ordering::Acquire)
    }

    fn waits_since(&self) -> Option<u64> {
        let waits = !self.is_evicted() && !self.is_answering();
        waits.then(|| self.since.load(Ordering::Relaxed))
    }
}

impl Slots {
    /// How many get answers, unlike the rejected.
    pub fn served(&self) -> usize {
        self.served
    }

    pub fn rejected(&self) -> usize {
        self.taken.len() - self.served
    }

    pub fn open(&self) -> usize {
        self.open
    }

    pub fn take(&mut self, since: u64, is_rejected: bool) -> Arc<State> {
        let entry = self.taken.vacant_entry();
        let state = Arc::new(State {
            key: entry.key(),
            is_rejected,
            in_flight: AtomicU32::new(0),
            since: AtomicU64::new(since),
            has_asked: AtomicBool::new(false),
            is_evicted: AtomicBool::new(false),
            shutdown_signal: Notify::new(),
        });
        entry.insert(state.clone());
        self.served += usize::from(!is_rejected);
        self.open += 1;
        state
    }

    /// Counts a connection that has ended.
    pub fn end(&mut self, state: &State) {
        self.free(state);
        self.open -= 1;
    }

    /// Evicts the connection that has been waiting for the longest, if it began at `latest` or
    /// before.
    pub fn evict_oldest(&mut self, latest: u64) -> bool {
        let Some(oldest) = self.oldest(latest) else {
            return false;
        };
        self.free(&oldest);
        oldest.shutdown_signal.notify_one();
        true
    }

    pub fn signal_all(&self) {
        self.taken.iter().for_each(|(_, state)| state.shutdown_signal.notify_one());
    }

    /// A scan of all connections is expensive, so one scan finds many candidates.
    pub fn oldest(&mut self, latest: u64) -> Option<Arc<State>> {
        for is_fresh in [false, true] {
            if is_fresh {
                self.oldest = self.candidates();
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

    fn candidates(&self) -> Vec<(u64, Arc<State>)> {
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

    /// Does nothing the second time.
    fn free(&mut self, state: &State) {
        if !state.is_evicted.swap(true, Ordering::AcqRel) {
            self.taken.remove(state.key);
            self.served -= usize::from(!state.is_rejected);
        }
    }
}
