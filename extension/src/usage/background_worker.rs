//! The worker that stores what was counted in one database, then the hashes that were made anew,
//! and ends.

#![allow(unsafe_code, reason = "it calls functions of Postgres")]

use super::{flush, rehashes};
use crate::shmem::usage_memory;
use pgrx::bgworkers::{BackgroundWorker, BackgroundWorkerBuilder, SignalWakeFlags};
use pgrx::pg_sys::{self, BackgroundWorkerHandle, BgwHandleStatus, Oid};
use pgrx::prelude::*;
use std::ffi::CStr;
use std::ptr;

/// `pgrx` has one, too, which never frees the handle.
pub struct Worker {
    pub database: Oid,
    handle: *mut BackgroundWorkerHandle,
}

impl Worker {
    /// To store what was counted in a database. `None`: the server has no room for one more.
    pub fn start(database: Oid) -> Option<Self> {
        let builder = BackgroundWorkerBuilder::new("apikey usage flush")
            .set_library("apikey")
            .set_function("apikey_usage_flush")
            .set_argument(database.into_datum())
            .enable_spi_access()
            // SAFETY: set when the process started. It is woken when the worker starts and ends.
            .set_notify_pid(unsafe { pg_sys::MyProcPid });
        let mut worker = pg_sys::BackgroundWorker::from(&builder);
        let mut handle = ptr::null_mut();
        // SAFETY: both are filled in. The handle is made where the launcher's memory is, outside a
        // transaction.
        let is_started =
            unsafe { pg_sys::RegisterDynamicBackgroundWorker(&mut worker, &mut handle) };
        is_started.then(|| Self { database, handle })
    }

    pub fn is_over(&self) -> bool {
        let mut pid = 0;
        // SAFETY: the handle is freed when this is dropped.
        let status = unsafe { pg_sys::GetBackgroundWorkerPid(self.handle, &mut pid) };
        status == BgwHandleStatus::BGWH_STOPPED
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // SAFETY: made by `start`, and used no more.
        unsafe { pg_sys::pfree(self.handle.cast()) };
    }
}

/// Whatever the database's own settings are. Its owner, who need not be a superuser, may have set
/// them.
const SETTINGS: [(&CStr, &CStr); 8] = [
    (c"application_name", c"apikey usage flush"),
    (c"search_path", c"pg_catalog, pg_temp"),
    (c"default_transaction_isolation", c"read committed"),
    // It queues behind nobody who locked the table: the next one tries again.
    (c"lock_timeout", c"1s"),
    // A crash loses the last counts in any case, and a standby that does not answer must not stop
    // the worker.
    (c"synchronous_commit", c"off"),
    // Plans have the values of parameters in them, and some of those are hashes.
    (c"debug_print_parse", c"off"),
    (c"debug_print_rewritten", c"off"),
    (c"debug_print_plan", c"off"),
];

#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn apikey_usage_flush(database: pg_sys::Datum) {
    let Some(memory) = usage_memory() else { return };
    connect(Oid::from(database.value() as u32));
    flush::store(memory);
    rehashes::store(memory);
}

unsafe extern "C-unwind" {
    /// Postgres's own, without what pgrx wraps around it, which is not for signal handlers.
    fn die(signal: i32);
}

fn connect(database: Oid) {
    // SAFETY: `die` is the handler that all backends have: it ends the transaction at the next safe
    // point.
    unsafe {
        #[cfg(not(feature = "pg18"))]
        pg_sys::pqsignal(pg_sys::SIGTERM as i32, Some(die));
        #[cfg(feature = "pg18")]
        pg_sys::pqsignal_be(pg_sys::SIGTERM as i32, Some(die));
    }
    BackgroundWorker::attach_signal_handlers(SignalWakeFlags::empty());
    BackgroundWorker::connect_worker_to_spi_by_oid(Some(database), None);
    for (name, value) in SETTINGS {
        let source = pg_sys::GucSource::PGC_S_OVERRIDE;
        let context = pg_sys::GucContext::PGC_SUSET;
        // SAFETY: Postgres copies both.
        unsafe { pg_sys::SetConfigOption(name.as_ptr(), value.as_ptr(), context, source) };
    }
}
