//! What checks remember, and none of it a verdict: proofs, counters, and how many hash at the
//! moment. All backends share it when the library stands in `shared_preload_libraries`; otherwise
//! each has its own, without the usage of keys.

mod counters;
mod hash_slots;
mod layout;
mod proofs_file;
pub mod saved_file;
mod usage_header;

pub use counters::Counter;
pub use hash_slots::{HashSlots, Queue};
pub use layout::Memory;
pub use usage_header::UsageMemory;

use crate::error::report;
use crate::pg::log::log;
use crate::pg::state::is_preloading;
use apikey_core::{MacKey, NoRandomness};
use layout::{Sizes, lay_out, lay_out_usage};
use pgrx::pg_sys::{self, panic::ErrorReport};
use pgrx::prelude::*;
use std::alloc::{alloc_zeroed, handle_alloc_error};
use std::cell::Cell;
use std::ffi::CStr;

const NAME: &CStr = c"apikey";

/// What is done with the usage of keys in the postmaster: before anybody counts, and when nobody
/// counts any more.
#[derive(Clone, Copy)]
pub struct Callbacks {
    pub start: fn(UsageMemory),
    pub stop: fn(UsageMemory),
}

thread_local! {
    static MEMORY: Cell<Option<Memory>> = const { Cell::new(None) };
    static USAGE: Cell<Option<UsageMemory>> = const { Cell::new(None) };
    static CALLBACKS: Cell<Option<Callbacks>> = const { Cell::new(None) };
    static PREVIOUS_STARTUP: Cell<pg_sys::shmem_startup_hook_type> = const { Cell::new(None) };
    #[cfg(not(feature = "pg14"))]
    static PREVIOUS_REQUEST: Cell<pg_sys::shmem_request_hook_type> = const { Cell::new(None) };
}

pub fn memory() -> Result<Memory, ErrorReport> {
    MEMORY.get().map_or_else(make_local, Ok)
}

/// `None` where it is not shared.
pub fn usage_memory() -> Option<UsageMemory> {
    USAGE.get()
}

fn make_local() -> Result<Memory, ErrorReport> {
    let layout = Sizes::LOCAL.layout();
    let mac_key = MacKey::new().map_err(no_randomness)?;
    // SAFETY: the layout is not empty. The block is zeroed, and never given back.
    let memory = unsafe {
        let block = alloc_zeroed(layout);
        if block.is_null() {
            handle_alloc_error(layout);
        }
        lay_out(block, Sizes::LOCAL, mac_key, false)
    };
    MEMORY.set(Some(memory));
    say_that_it_is_not_shared();
    Ok(memory)
}

fn say_that_it_is_not_shared() {
    let message =
        "apikey is not preloaded: each connection has to hash every API key anew that it checks";
    log(report(PgSqlErrorCode::ERRCODE_SUCCESSFUL_COMPLETION, message.to_owned())
        .set_hint("Add apikey to shared_preload_libraries, and restart Postgres."));
}

fn no_randomness(error: NoRandomness) -> ErrorReport {
    crate::error::from_hash(error.into())
}

/// To be called from `_PG_init`, after the settings are defined.
pub fn share_if_preloaded(callbacks: Callbacks) {
    if !is_preloading() {
        return;
    }
    CALLBACKS.set(Some(callbacks));
    // SAFETY: _PG_init runs on the only thread of the process, which alone uses these hooks.
    unsafe {
        PREVIOUS_STARTUP.set(pg_sys::shmem_startup_hook);
        pg_sys::shmem_startup_hook = Some(start_shared);
        #[cfg(feature = "pg14")]
        request();
        #[cfg(not(feature = "pg14"))]
        {
            PREVIOUS_REQUEST.set(pg_sys::shmem_request_hook);
            pg_sys::shmem_request_hook = Some(request_shared);
        }
    }
}

#[cfg(not(feature = "pg14"))]
#[pg_guard]
unsafe extern "C-unwind" fn request_shared() {
    // SAFETY: Postgres expects the hook that was here before to be called.
    unsafe {
        if let Some(previous) = PREVIOUS_REQUEST.get() {
            previous();
        }
        request();
    }
}

/// # Safety
/// Called where Postgres takes such requests: in `_PG_init` up to version 14, in a hook since.
unsafe fn request() {
    // SAFETY: by the contract above.
    unsafe {
        pg_sys::RequestAddinShmemSpace(Sizes::shared().layout().size());
        pg_sys::RequestNamedLWLockTranche(NAME.as_ptr(), 1);
    }
}

/// Runs in the postmaster before it has children, and again when it starts anew after a crash.
#[pg_guard]
unsafe extern "C-unwind" fn start_shared() {
    let sizes = Sizes::shared();
    let size = sizes.layout().size();
    let started =
        proofs_file::load().map_or_else(|| MacKey::new().map(|key| (key, Vec::new())), Ok);
    let (mac_key, proofs) = started.unwrap_or_else(|error| {
        no_randomness(error).report(PgLogLevel::FATAL);
        unreachable!("FATAL does not return")
    });
    let mut found = false;
    // SAFETY: Postgres calls this hook where its memory is there, and expects the one before it to
    // be called. The block has the size that was asked for, is aligned to a cache line, and is
    // nobody else's; so is the lock.
    unsafe {
        if let Some(previous) = PREVIOUS_STARTUP.get() {
            previous();
        }
        let block = pg_sys::ShmemInitStruct(NAME.as_ptr(), size, &mut found).cast::<u8>();
        block.write_bytes(0, size);
        let memory = lay_out(block, sizes, mac_key, true);
        proofs.into_iter().for_each(|proof| memory.proofs.insert(proof));
        MEMORY.set(Some(memory));
        let lock = &raw mut (*pg_sys::GetNamedLWLockTranche(NAME.as_ptr())).lock;
        let usage = lay_out_usage(block, sizes, lock);
        CALLBACKS.get().into_iter().for_each(|callbacks| (callbacks.start)(usage));
        USAGE.set(Some(usage));
        pg_sys::on_shmem_exit(Some(stop_shared), pg_sys::Datum::null());
    }
}

/// The postmaster is the last of all processes to end. Its children do not come here: they give up
/// the callbacks that they inherit.
#[pg_guard]
unsafe extern "C-unwind" fn stop_shared(status: i32, _argument: pg_sys::Datum) {
    // Of a crash we cannot know what it did to memory.
    if status == 0 {
        if let Some(memory) = MEMORY.get() {
            proofs_file::save(memory.mac_key, memory.proofs);
        }
        if let Some((callbacks, usage)) = CALLBACKS.get().zip(USAGE.get()) {
            (callbacks.stop)(usage);
        }
    }
}
