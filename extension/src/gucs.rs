//! The settings of the extension. Only a superuser, or a role that was granted `SET` on one, may
//! change them: a cheaper hash is the owner's decision.

use crate::pg::state::is_preloading;
use apikey_core::{Argon2Params, Bucket, Slot};
use pgrx::guc::{GucContext, GucFlags, GucRegistry, GucSetting};
use pgrx::pg_sys;
use std::ffi::CStr;
use std::ops::RangeInclusive;
use std::sync::OnceLock;
use std::time::Duration;

static ARGON2_MEMORY: GucSetting<i32> = setting(Argon2Params::DEFAULT.memory);
static ARGON2_ITERATIONS: GucSetting<i32> = setting(Argon2Params::DEFAULT.iterations);
static ARGON2_PARALLELISM: GucSetting<i32> = setting(Argon2Params::DEFAULT.parallelism);
static MAX_CONCURRENT_HASHES: GucSetting<i32> = GucSetting::<i32>::new(0);
static PROOF_CACHE_SIZE: GucSetting<i32> = GucSetting::<i32>::new(4096);
static TRACK_USAGE: GucSetting<bool> = GucSetting::<bool>::new(true);
static USAGE_FLUSH_INTERVAL: GucSetting<i32> = GucSetting::<i32>::new(10);
static USAGE_CACHE_SIZE: GucSetting<i32> = GucSetting::<i32>::new(1024);

/// What a new verifier costs.
pub fn argon2_params() -> Argon2Params {
    let value = |setting: &GucSetting<i32>| setting.get().cast_unsigned();
    Argon2Params {
        memory: value(&ARGON2_MEMORY),
        iterations: value(&ARGON2_ITERATIONS),
        parallelism: value(&ARGON2_PARALLELISM),
    }
}

/// How many slow hashes may run at once. Not set, half of the processors are left to everything
/// else.
pub fn max_concurrent_hashes() -> i32 {
    match MAX_CONCURRENT_HASHES.get() {
        0 => half_of_the_processors(),
        limit => limit,
    }
}

/// How many buckets of proofs fit into `apikey.proof_cache_size`.
pub fn proof_buckets() -> usize {
    PROOF_CACHE_SIZE.get().unsigned_abs() as usize * 1024 / size_of::<Bucket>()
}

fn half_of_the_processors() -> i32 {
    static HALF: OnceLock<i32> = OnceLock::new();
    *HALF.get_or_init(|| {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        i32::try_from(processors / 2).unwrap_or(i32::MAX).max(1)
    })
}

pub fn track_usage() -> bool {
    TRACK_USAGE.get()
}

pub fn usage_flush_interval() -> Duration {
    Duration::from_secs(USAGE_FLUSH_INTERVAL.get().unsigned_abs().into())
}

/// How many keys in use fit into `apikey.usage_cache_size`.
pub fn usage_slots() -> usize {
    USAGE_CACHE_SIZE.get().unsigned_abs() as usize * 1024 / size_of::<Slot>()
}

pub fn define() {
    define_cost(
        c"apikey.argon2_memory",
        c"Memory that hashing an API key takes.",
        c"For new keys; a stored key is checked with the memory it was hashed with.",
        &ARGON2_MEMORY,
        Argon2Params::MEMORY,
        GucFlags::UNIT_KB,
    );
    define_cost(
        c"apikey.argon2_iterations",
        c"Number of passes over the memory when an API key is hashed.",
        c"For new keys; a stored key is checked with the passes it was hashed with.",
        &ARGON2_ITERATIONS,
        Argon2Params::ITERATIONS,
        GucFlags::default(),
    );
    define_cost(
        c"apikey.argon2_parallelism",
        c"Number of Argon2id lanes that an API key is hashed in.",
        c"They are computed one after the other. For new keys; a stored key is checked with the lanes it was hashed with.",
        &ARGON2_PARALLELISM,
        Argon2Params::PARALLELISM,
        GucFlags::default(),
    );
    GucRegistry::define_int_guc(
        c"apikey.max_concurrent_hashes",
        c"Number of slow hashes of API keys that may run at once, over all connections.",
        c"Further ones wait. 0: half of the processors. It holds where apikey is among shared_preload_libraries.",
        &MAX_CONCURRENT_HASHES,
        0,
        1024,
        GucContext::Sighup,
        GucFlags::default(),
    );
    GucRegistry::define_bool_guc(
        c"apikey.track_usage",
        c"Counts how often each API key is accepted and refused, and notes its last use.",
        c"It holds where apikey is among shared_preload_libraries.",
        &TRACK_USAGE,
        GucContext::Suset,
        GucFlags::default(),
    );
    GucRegistry::define_int_guc(
        c"apikey.usage_flush_interval",
        c"Time between two writes of the usage of API keys to apikey.usage.",
        c"A crash loses what was counted since the last one.",
        &USAGE_FLUSH_INTERVAL,
        1,
        3600,
        GucContext::Sighup,
        GucFlags::UNIT_S,
    );
    // Postgres takes settings that need a restart only while it starts.
    if is_preloading() {
        define_size(
            c"apikey.proof_cache_size",
            c"Memory for the proofs that an API key matches its hash, shared by all connections.",
            c"A proof takes 16 bytes. A key whose proof found no room is hashed again.",
            &PROOF_CACHE_SIZE,
            1024 * 1024,
        );
        define_size(
            c"apikey.usage_cache_size",
            c"Memory for the usage of API keys that is not written yet, shared by all connections.",
            c"A key takes 128 bytes. What finds no room is not counted.",
            &USAGE_CACHE_SIZE,
            256 * 1024,
        );
    }
    reserve_prefix(c"apikey");
}

const fn setting(default: u32) -> GucSetting<i32> {
    GucSetting::<i32>::new(default.cast_signed())
}

fn define_cost(
    name: &'static CStr,
    short: &'static CStr,
    long: &'static CStr,
    setting: &'static GucSetting<i32>,
    range: RangeInclusive<u32>,
    flags: GucFlags,
) {
    let (min, max) = (range.start().cast_signed(), range.end().cast_signed());
    GucRegistry::define_int_guc(name, short, long, setting, min, max, GucContext::Suset, flags);
}

/// In kB, 16 at least.
fn define_size(
    name: &'static CStr,
    short: &'static CStr,
    long: &'static CStr,
    setting: &'static GucSetting<i32>,
    max: i32,
) {
    let (context, unit) = (GucContext::Postmaster, GucFlags::UNIT_KB);
    GucRegistry::define_int_guc(name, short, long, setting, 16, max, context, unit);
}

/// Makes a misspelt setting an error (on Postgres 14 a warning) instead of a silent placeholder.
#[allow(unsafe_code, reason = "it calls functions of Postgres")]
fn reserve_prefix(prefix: &'static CStr) {
    // SAFETY: called from _PG_init, on the backend's only thread; Postgres copies the string.
    unsafe {
        #[cfg(feature = "pg14")]
        pg_sys::EmitWarningsOnPlaceholders(prefix.as_ptr());
        #[cfg(not(feature = "pg14"))]
        pg_sys::MarkGUCPrefixReserved(prefix.as_ptr());
    }
}
