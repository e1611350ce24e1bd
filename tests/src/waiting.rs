//! Waiting for what another process does in its own time.

use std::thread::sleep;
use std::time::{Duration, Instant};

/// Returns when it is so; panics when it is not for half a minute.
#[track_caller]
pub fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < deadline, "in half a minute it was never so that {what}");
        sleep(Duration::from_millis(50));
    }
}
