//! The glue between Postgres and `apikey-core`. The SQL side of each function stands in `sql/`.
//!
//! A check goes from `sql` to `verification`, which looks at the key's row in `table`, and asks in
//! `shmem` what is remembered. Where that is not enough, it waits for a `hash_permit` and hashes; a
//! hash that is out of date is made anew by `rehash`. `usage` counts, and has workers that store
//! what was counted and made anew. All of them stand on `pg`.

#![allow(clippy::result_large_err, reason = "pgrx's ErrorReport is large, and ends the statement")]

mod error;
mod gucs;
mod hash_permit;
#[allow(unsafe_code, reason = "it calls functions of Postgres")]
mod pg;
mod rehash;
#[allow(unsafe_code, reason = "it lays out memory that processes share")]
mod shmem;
mod sql;
#[allow(unsafe_code, reason = "it reads Postgres's tables where they lie")]
mod table;
mod usage;
mod verification;

use pgrx::prelude::*;
use shmem::Callbacks;

pgrx::pg_module_magic!(name, version);

#[pg_guard]
pub extern "C-unwind" fn _PG_init() {
    // Beside the product, it would define the same settings.
    if cfg!(feature = "panic-probe") {
        return;
    }
    gucs::define();
    shmem::share_if_preloaded(Callbacks { start: usage::load, stop: usage::save });
    usage::register();
    sql::identity::watch_transactions();
}
