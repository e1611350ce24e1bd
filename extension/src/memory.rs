//! What checks remember, and none of it a verdict: proofs, counters, and how many hash at the moment. All
//! backends share it when the library stands in `shared_preload_libraries`; otherwise each has its own, without
//! the usage of keys.

#![allow(unsafe_code)]

use crate::error::report;
use crate::gucs;
use crate::hashing::Hashing;
use crate::pg::log::log;
use crate::restart;
use crate::stats::Counters;
use crate::usage::{self, UsageMemory};
use apikey_core::{
    Bucket, MacKey, NoRandomness, ProofTable, RenewalSlot, RenewalTable, Slot, UsageTable,
};
use pgrx::pg_sys::{self, panic::ErrorReport};
use pgrx::prelude::*;
use std::alloc::{Layout, LayoutError, alloc_zeroed, handle_alloc_error};
use std::cell::Cell;
use std::ffi::CStr;
use std::sync::atomic::AtomicU64;

const NAME: &CStr = c"apikey";

/// A backend's own: room for 1024 proofs.
const LOCAL: Sizes = Sizes { buckets: 256, slots: 0, renewals: 0 };

/// Renewed hashes that wait to be stored: 48 kB.
const RENEWALS: usize = 128;

/// What has one size, whatever the settings are. But for the MAC key, all zeros is how it starts.
#[repr(C)]
struct Fixed {
    mac_key: MacKey,
    hashing: Hashing,
    evictions: AtomicU64,
    counters: Counters,
    usage: usage::Header,
}

/// How many there are of what follows it.
#[derive(Clone, Copy)]
struct Sizes {
    buckets: usize,
    slots: usize,
    renewals: usize,
}

/// Where each part begins in the block that `all` describes.
struct Parts {
    all: Layout,
    buckets: usize,
    slots: usize,
    renewals: usize,
}

#[derive(Clone, Copy)]
pub struct Memory {
    pub is_shared: bool,
    pub mac_key: &'static MacKey,
    pub hashing: &'static Hashing,
    pub evictions: &'static AtomicU64,
    pub counters: &'static Counters,
    pub proofs: ProofTable<'static>,
}

thread_local! {
    static MEMORY: Cell<Option<Memory>> = const { Cell::new(None) };
    static USAGE: Cell<Option<UsageMemory>> = const { Cell::new(None) };
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
    let layout = LOCAL.parts().all;
    let mac_key = MacKey::new().map_err(no_randomness)?;
    // SAFETY: the layout is not empty. The block is zeroed, and never given back.
    let memory = unsafe {
        let block = alloc_zeroed(layout);
        if block.is_null() {
            handle_alloc_error(layout);
        }
        lay_out(block, LOCAL, mac_key)
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
pub fn share_if_preloaded() {
    // SAFETY: _PG_init runs on the only thread of the process, which alone uses these hooks.
    unsafe {
        if !pg_sys::process_shared_preload_libraries_in_progress {
            return;
        }
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
        pg_sys::RequestAddinShmemSpace(Sizes::shared().parts().all.size());
        pg_sys::RequestNamedLWLockTranche(NAME.as_ptr(), 1);
    }
}

/// Runs in the postmaster before it has children, and again when it starts anew after a crash.
#[pg_guard]
unsafe extern "C-unwind" fn start_shared() {
    let sizes = Sizes::shared();
    let size = sizes.parts().all.size();
    let started = restart::take().map_or_else(|| MacKey::new().map(|key| (key, Vec::new())), Ok);
    let (mac_key, proofs) = started.unwrap_or_else(|error| {
        no_randomness(error).report(PgLogLevel::FATAL);
        unreachable!("FATAL does not return")
    });
    let mut found = false;
    // SAFETY: Postgres calls this hook where its memory is there, and expects the one before it to be called. The
    // block has the size that was asked for, is aligned to a cache line, and is nobody else's; so is the lock.
    unsafe {
        if let Some(previous) = PREVIOUS_STARTUP.get() {
            previous();
        }
        let block = pg_sys::ShmemInitStruct(NAME.as_ptr(), size, &mut found).cast::<u8>();
        block.write_bytes(0, size);
        let memory = Memory { is_shared: true, ..lay_out(block, sizes, mac_key) };
        proofs.into_iter().for_each(|proof| memory.proofs.insert(proof));
        MEMORY.set(Some(memory));
        let lock = &raw mut (*pg_sys::GetNamedLWLockTranche(NAME.as_ptr())).lock;
        let slots = block.add(sizes.parts().slots).cast();
        let table = UsageTable::new(std::slice::from_raw_parts(slots, sizes.slots));
        let header = &(*block.cast::<Fixed>()).usage;
        let renewals = block.add(sizes.parts().renewals).cast();
        let renewals = std::slice::from_raw_parts(renewals, sizes.renewals);
        let renewals = RenewalTable::new(renewals, &header.is_renewing);
        let usage = UsageMemory { header, table, renewals, lock };
        usage::start(usage);
        USAGE.set(Some(usage));
        pg_sys::on_shmem_exit(Some(stop_shared), pg_sys::Datum::null());
    }
}

/// The postmaster is the last of all processes to end. Its children do not come here: they give up the callbacks that
/// they inherit.
#[pg_guard]
unsafe extern "C-unwind" fn stop_shared(status: i32, _argument: pg_sys::Datum) {
    // Of a crash we cannot know what it did to memory.
    if status == 0 {
        MEMORY.get().into_iter().for_each(restart::leave);
        USAGE.get().into_iter().for_each(usage::leave);
    }
}

impl Sizes {
    fn shared() -> Self {
        let (buckets, slots) = (gucs::proof_buckets(), gucs::usage_slots());
        Self { buckets, slots, renewals: RENEWALS }
    }

    fn parts(self) -> Parts {
        let parts = || {
            let (all, buckets) =
                Layout::new::<Fixed>().extend(Layout::array::<Bucket>(self.buckets)?)?;
            let (all, slots) = all.extend(Layout::array::<Slot>(self.slots)?)?;
            let (all, renewals) = all.extend(Layout::array::<RenewalSlot>(self.renewals)?)?;
            Ok::<_, LayoutError>(Parts { all, buckets, slots, renewals })
        };
        parts().unwrap_or_else(|error| pgrx::error!("apikey's memory is too large: {error}"))
    }
}

/// # Safety
/// `block` has the size and alignment of `sizes.parts().all`, is zeroed, nobody uses it yet, and it stays for as long
/// as this process does.
unsafe fn lay_out(block: *mut u8, sizes: Sizes, mac_key: MacKey) -> Memory {
    // SAFETY: by the contract above; zeros are valid atomics. From here on, nothing is written but atomics and
    // what Postgres's own functions write.
    unsafe {
        let fixed = block.cast::<Fixed>();
        (&raw mut (*fixed).mac_key).write(mac_key);
        Hashing::start(&raw mut (*fixed).hashing);
        let fixed = &*fixed;
        let buckets = block.add(sizes.parts().buckets).cast();
        let buckets = std::slice::from_raw_parts(buckets, sizes.buckets);
        Memory {
            is_shared: false,
            mac_key: &fixed.mac_key,
            hashing: &fixed.hashing,
            evictions: &fixed.evictions,
            counters: &fixed.counters,
            proofs: ProofTable::new(buckets, &fixed.evictions),
        }
    }
}
