//! One log line a second, with a count, for events that come by the thousand.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

const PAUSE: Duration = Duration::from_secs(1);

#[derive(Default)]
pub struct LogLimit(Mutex<State>);

#[derive(Default)]
struct State {
    count: u64,
    logged: Option<Instant>,
}

impl LogLimit {
    /// Counts an event. If a line is due, gives how many it is about.
    pub fn count(&self) -> Option<u64> {
        let mut state = self.0.lock();
        state.count += 1;
        if state.logged.is_some_and(|logged| logged.elapsed() < PAUSE) {
            return None;
        }
        state.logged = Some(Instant::now());
        Some(std::mem::take(&mut state.count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_logged_at_once_and_the_next_later() {
        let limit = LogLimit::default();
        assert_eq!(limit.count(), Some(1));
        assert_eq!(limit.count(), None);
        assert_eq!(limit.count(), None);
        limit.0.lock().logged = Instant::now().checked_sub(PAUSE);
        assert_eq!(limit.count(), Some(3));
    }
}
