//! Lines for the server's log, of what a check meets and its caller need not know.

use pgrx::pg_sys::{self, panic::ErrorReport};
use pgrx::prelude::*;
use std::ptr::{null, null_mut};

/// Without the statement, which Postgres would add, and in which there may be a key.
pub fn log(report: ErrorReport) {
    // SAFETY: both are the backend's own, may be NULL, and are put back. A message of this level
    // raises no error.
    unsafe {
        let (statement, context) = (pg_sys::debug_query_string, pg_sys::error_context_stack);
        pg_sys::debug_query_string = null();
        pg_sys::error_context_stack = null_mut();
        report.report(PgLogLevel::LOG);
        pg_sys::debug_query_string = statement;
        pg_sys::error_context_stack = context;
    }
}
