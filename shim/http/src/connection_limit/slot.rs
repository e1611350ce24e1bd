//! The slot of one connection: whether it is being answered, and when it has to end.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::timeout;

use super::eviction::State;
use super::shared::Shared;

/// Held for as long as its connection is open.
pub struct Slot {
    pub(super) shared: Arc<Shared>,
    pub(super) state: Arc<State>,
}

impl Slot {
    /// Says that a request is being answered until the value is dropped.
    pub fn answering(&self) -> Answering<'_> {
        self.state.has_asked.store(true, Ordering::Relaxed);
        self.state.in_flight.fetch_add(1, Ordering::AcqRel);
        Answering(self)
    }

    pub fn is_answering(&self) -> bool {
        self.state.is_answering()
    }

    /// Whether a request has ever come.
    pub fn has_asked(&self) -> bool {
        self.state.has_asked.load(Ordering::Relaxed)
    }

    /// For how long the connection has been waiting for its client.
    pub fn waits_for(&self) -> Option<Duration> {
        let since = (!self.is_answering()).then(|| self.state.since.load(Ordering::Relaxed))?;
        Some(Duration::from_micros(self.shared.now().saturating_sub(since)))
    }

    /// Whether there is no room: all that the client gets is a 503.
    pub fn is_rejected(&self) -> bool {
        self.state.is_rejected
    }

    /// Whether the slot is another connection's by now.
    pub fn is_evicted(&self) -> bool {
        self.state.is_evicted()
    }

    /// Whether the next response is the last.
    pub fn is_ending(&self) -> bool {
        self.is_rejected() || self.is_evicted() || self.shared.is_stopping()
    }

    /// Makes the slot the first to be taken: its client is only waited for to hang up.
    pub fn set_idle(&self) {
        self.state.since.store(0, Ordering::Relaxed);
    }

    /// Resolves when the slot is another connection's.
    pub async fn evicted(&self) {
        while !self.is_evicted() {
            self.shutdown_signal().await;
        }
    }

    /// Resolves when the connection is to end.
    pub async fn shutdown_signal(&self) {
        self.state.shutdown_signal.notified().await;
    }

    /// Resolves when a connection that is not being answered has to end. A client whose connection
    /// was idle may have sent a request when we stop: it gets a moment for that one.
    pub async fn must_end(&self) {
        self.shutdown_signal().await;
        if !self.is_evicted() {
            let _ = timeout(self.shared.idle_grace, self.shutdown_signal()).await;
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.shared.slots().end(&self.state);
        self.shared.slot_freed.notify_one();
    }
}

pub struct Answering<'a>(&'a Slot);

impl Drop for Answering<'_> {
    fn drop(&mut self) {
        let Slot { shared, state } = self.0;
        state.since.store(shared.now(), Ordering::Relaxed);
        state.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}
