//! A background worker that the launcher started.

#![allow(unsafe_code)]

use pgrx::bgworkers::BackgroundWorkerBuilder;
use pgrx::pg_sys::{self, BackgroundWorkerHandle, BgwHandleStatus, Oid};
use pgrx::prelude::*;
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
        // SAFETY: both are filled in. The handle is made where the launcher's memory is, outside a transaction.
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
