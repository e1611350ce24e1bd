//! The key that the current transaction acts for, in the memory of the backend. No setting and no
//! other session reaches it; it ends with the transaction, and a savepoint that is rolled back
//! takes its own away.

#![allow(unsafe_code, reason = "it calls functions of Postgres")]

use pgrx::pg_sys::{self, SubTransactionId};
use pgrx::prelude::*;
use std::cell::RefCell;

/// An identity, or that there is none any more, and the subtransaction that said so.
struct Said {
    by: SubTransactionId,
    prefix: Option<String>,
}

thread_local! {
    /// Innermost last: what was said before a savepoint holds again when it is rolled back.
    static IDENTITIES: RefCell<Vec<Said>> = const { RefCell::new(Vec::new()) };
}

#[pg_extern(volatile, parallel_unsafe)]
fn set_identity(prefix: Option<&str>) {
    let prefix = prefix.map(str::to_owned);
    let by = current_subtransaction();
    IDENTITIES.with_borrow_mut(|said| {
        said.retain(|earlier| earlier.by != by);
        said.push(Said { by, prefix });
    });
}

#[pg_extern(stable, parallel_restricted)]
fn identity() -> Option<String> {
    IDENTITIES.with_borrow(|said| said.last().and_then(|last| last.prefix.clone()))
}

fn current_subtransaction() -> SubTransactionId {
    // SAFETY: reads the backend's transaction state, inside a transaction, as every function call
    // is.
    unsafe { pg_sys::GetCurrentSubTransactionId() }
}

/// Lets Postgres tell when transactions and savepoints end. Once per backend.
pub fn watch_transactions() {
    // SAFETY: called from _PG_init. Both callbacks stay loaded as long as the backend, have the
    // signatures that Postgres expects, and neither raises an error nor panics.
    unsafe {
        pg_sys::RegisterXactCallback(Some(transaction_ends), std::ptr::null_mut());
        pg_sys::RegisterSubXactCallback(Some(subtransaction_ends), std::ptr::null_mut());
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn transaction_ends(
    event: pg_sys::XactEvent::Type,
    _argument: *mut std::ffi::c_void,
) {
    use pg_sys::XactEvent::{
        XACT_EVENT_PARALLEL_PRE_COMMIT, XACT_EVENT_PRE_COMMIT, XACT_EVENT_PRE_PREPARE,
    };
    // Deferred triggers run before the commit, and still act for the key.
    let goes_on = [XACT_EVENT_PRE_COMMIT, XACT_EVENT_PARALLEL_PRE_COMMIT, XACT_EVENT_PRE_PREPARE];
    if !goes_on.contains(&event) {
        IDENTITIES.with_borrow_mut(Vec::clear);
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn subtransaction_ends(
    event: pg_sys::SubXactEvent::Type,
    ended: SubTransactionId,
    parent: SubTransactionId,
    _argument: *mut std::ffi::c_void,
) {
    IDENTITIES.with_borrow_mut(|said| match event {
        pg_sys::SubXactEvent::SUBXACT_EVENT_ABORT_SUB => said.retain(|one| one.by != ended),
        // A savepoint that is released becomes part of what is around it.
        pg_sys::SubXactEvent::SUBXACT_EVENT_COMMIT_SUB
            if said.last().is_some_and(|last| last.by == ended) =>
        {
            said.retain(|one| one.by != parent);
            if let Some(last) = said.last_mut() {
                last.by = parent;
            }
        }
        _ => {}
    });
}
