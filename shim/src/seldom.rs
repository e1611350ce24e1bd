//! For log lines that would come by the thousand: one a second, with a count.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const PAUSE: Duration = Duration::from_secs(1);

pub struct Seldom(Mutex<State>);

struct State {
    count: u64,
    told: Option<Instant>,
}

impl Seldom {
    pub const fn new() -> Self {
        Self(Mutex::new(State { count: 0, told: None }))
    }

    /// Counts one more, and says how many to tell of if it is time to.
    pub fn count(&self) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.count += 1;
        if state.told.is_some_and(|told| told.elapsed() < PAUSE) {
            return None;
        }
        state.told = Some(Instant::now());
        Some(std::mem::take(&mut state.count))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_first_is_told_at_once_and_the_next_later() {
        let seldom = Seldom::new();
        assert_eq!(seldom.count(), Some(1));
        assert_eq!(seldom.count(), None);
        assert_eq!(seldom.count(), None);
        seldom.0.lock().unwrap().told = Instant::now().checked_sub(PAUSE);
        assert_eq!(seldom.count(), Some(3));
    }
}
