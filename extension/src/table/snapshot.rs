//! The snapshot in which a check finds its row: the statement's, unless the table has changed since
//! that was taken. A statement that names the table locks it first. One that calls us locks it
//! later, and in a table that was rewritten meanwhile its snapshot sees no row.

use crate::pg::ffi;
use pgrx::pg_sys::{self, Snapshot, TimestampTz};
use std::cell::Cell;

thread_local! {
    /// A statement's snapshot that is older than what is known of the table, and the start of its
    /// transaction: after that, another one may have its address.
    static OUTDATED: Cell<Option<(Snapshot, TimestampTz)>> = const { Cell::new(None) };
}

/// As new as the transaction's isolation allows, and active until it is dropped.
pub struct NewerSnapshot;

impl NewerSnapshot {
    /// For a table that was looked up just now: all further checks of the statement need one, too.
    pub fn after_look_up() -> Option<Self> {
        OUTDATED.set(active());
        Self::if_outdated()
    }

    pub fn if_outdated() -> Option<Self> {
        let outdated = OUTDATED.get().filter(|outdated| active().as_ref() == Some(outdated));
        outdated.map(|_| Self::take())
    }

    fn take() -> Self {
        // SAFETY: inside a statement, so that the transaction has taken its first one: any other
        // may be taken beside parallel workers, too.
        unsafe { pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot()) };
        Self
    }
}

impl Drop for NewerSnapshot {
    fn drop(&mut self) {
        // After an error, Postgres itself gives back what the statement held, and is in no state to
        // be called.
        if !std::thread::panicking() {
            // SAFETY: pushed by `take`, and whatever was pushed since is popped.
            unsafe { pg_sys::PopActiveSnapshot() };
        }
    }
}

fn active() -> Option<(Snapshot, TimestampTz)> {
    // SAFETY: each reads a piece of the backend's state, and raises no error.
    unsafe {
        ffi::ActiveSnapshotSet()
            .then(|| (ffi::GetActiveSnapshot(), ffi::GetCurrentTransactionStartTimestamp()))
    }
}
