//! The glue between Postgres and `apikey-core`. The SQL side of each function stands in `sql/`.

#![allow(clippy::result_large_err, reason = "pgrx's ErrorReport is large, and ends the statement")]

mod error;
mod gucs;
mod hash_permit;
mod pg;
mod rehash;
mod shmem;
mod sql;
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
