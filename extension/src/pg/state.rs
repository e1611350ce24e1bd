//! What a process of the server knows of itself and of the server, and shows of itself.

use super::ffi;
use pgrx::pg_sys::{self, TimestampTz};
use std::ffi::CStr;

pub fn this_database() -> u32 {
    // SAFETY: set when the backend connected.
    unsafe { pg_sys::MyDatabaseId }.to_u32()
}

pub fn is_standby() -> bool {
    // SAFETY: reads a piece of the server's state.
    unsafe { pg_sys::RecoveryInProgress() }
}

/// As a transaction is in a database that its owner has closed for changes.
pub fn is_read_only() -> bool {
    // SAFETY: reads a piece of the transaction's state.
    unsafe { pg_sys::XactReadOnly }
}

/// Whether this is the postmaster, which loads the library for all.
pub fn is_preloading() -> bool {
    // SAFETY: reads a flag, on the process's only thread.
    unsafe { pg_sys::process_shared_preload_libraries_in_progress }
}

/// The wall's and not the transaction's: a key expires on time in a transaction that is kept open,
/// too.
pub fn clock() -> TimestampTz {
    // SAFETY: reads the clock, and raises no error.
    unsafe { ffi::GetCurrentTimestamp() }
}

/// In `pg_stat_activity`.
pub fn report_activity(what: &CStr) {
    // SAFETY: Postgres copies the text.
    unsafe { pg_sys::pgstat_report_activity(pg_sys::BackendState::STATE_RUNNING, what.as_ptr()) };
}
