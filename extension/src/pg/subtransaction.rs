//! Work that may fail and be undone without the transaction that it is part of, as in a PL/pgSQL
//! block with `EXCEPTION`.

use pgrx::pg_sys::panic::{CaughtError, ErrorReport, ErrorReportable};
use pgrx::pg_sys::{self, PgTryBuilder};
use std::panic::AssertUnwindSafe;
use std::ptr::null;

/// What was done before an error is rolled back. The error is the caller's: to judge, and to throw
/// again.
pub fn attempt(work: impl FnOnce() -> Result<(), ErrorReport>) -> Result<(), CaughtError> {
    // SAFETY: the backend's only thread, in a transaction. Both outlast the subtransaction, which
    // is what makes others current.
    let (memory, owner) = unsafe { (pg_sys::CurrentMemoryContext, pg_sys::CurrentResourceOwner) };
    // SAFETY: not in parallel mode, where Postgres would raise an error and nothing would have
    // begun.
    unsafe {
        pg_sys::BeginInternalSubTransaction(null());
        pg_sys::MemoryContextSwitchTo(memory);
    }
    let outcome = PgTryBuilder::new(AssertUnwindSafe(|| {
        work().unwrap_or_report();
        Ok(())
    }))
    .catch_others(Err)
    .execute();
    // SAFETY: ends what began above. All that `work` began within it has ended with `work`, or ends
    // with the rollback.
    unsafe {
        pg_sys::MemoryContextSwitchTo(memory);
        match outcome {
            Ok(()) => pg_sys::ReleaseCurrentSubTransaction(),
            Err(_) => pg_sys::RollbackAndReleaseCurrentSubTransaction(),
        }
        pg_sys::MemoryContextSwitchTo(memory);
        pg_sys::CurrentResourceOwner = owner;
    }
    outcome
}
