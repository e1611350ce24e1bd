//! The settings of the extension. Only a superuser, or a role that was granted `SET` on one, may change
//! them: a cheaper hash is the owner's decision.

use apikey_core::Argon2Params;
use pgrx::guc::{GucContext, GucFlags, GucRegistry, GucSetting};
use pgrx::pg_sys;
use std::ffi::CStr;
use std::ops::RangeInclusive;

static ARGON2_MEMORY: GucSetting<i32> = setting(Argon2Params::DEFAULT.memory);
static ARGON2_ITERATIONS: GucSetting<i32> = setting(Argon2Params::DEFAULT.iterations);
static ARGON2_PARALLELISM: GucSetting<i32> = setting(Argon2Params::DEFAULT.parallelism);

/// What a new verifier costs.
pub fn argon2_params() -> Argon2Params {
    let value = |setting: &GucSetting<i32>| setting.get().cast_unsigned();
    Argon2Params {
        memory: value(&ARGON2_MEMORY),
        iterations: value(&ARGON2_ITERATIONS),
        parallelism: value(&ARGON2_PARALLELISM),
    }
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

/// Makes a misspelt setting an error (on Postgres 14 a warning) instead of a silent placeholder.
#[allow(unsafe_code)]
fn reserve_prefix(prefix: &'static CStr) {
    // SAFETY: called from _PG_init, on the backend's only thread; Postgres copies the string.
    unsafe {
        #[cfg(feature = "pg14")]
        pg_sys::EmitWarningsOnPlaceholders(prefix.as_ptr());
        #[cfg(not(feature = "pg14"))]
        pg_sys::MarkGUCPrefixReserved(prefix.as_ptr());
    }
}
