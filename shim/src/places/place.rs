//! The place of one connection: whether it is being answered, and when it has to end.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::timeout;

use super::Places;
use super::crowd::State;

/// Ends with the value.
pub struct Place {
    pub(super) places: Arc<Places>,
    pub(super) state: Arc<State>,
}

impl Place {
    /// Until the end of the value, a request is being answered.
    pub fn answering(&self) -> Answering<'_> {
        self.state.has_asked.store(true, Ordering::Relaxed);
        self.state.in_flight.fetch_add(1, Ordering::AcqRel);
        Answering(self)
    }

    pub fn is_answering(&self) -> bool {
        self.state.is_answering()
    }

    /// Whether a request has come on it, ever.
    pub fn has_asked(&self) -> bool {
        self.state.has_asked.load(Ordering::Relaxed)
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
        self.state.is_gone()
    }

    /// Whether its next answer is its last.
    pub fn is_ending(&self) -> bool {
        self.is_turned_away() || self.is_gone() || self.places.is_stopping()
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
        self.places.crowd().end(&self.state);
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
