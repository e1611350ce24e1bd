//! The glue between Postgres and `apikey-core`. The SQL side of each function stands in `sql/`.

#![allow(clippy::result_large_err, reason = "pgrx's ErrorReport is large, and ends the statement")]

mod addresses;
mod catalog;
mod check;
mod error;
mod grants;
mod hashing;
mod identity;
mod issue;
mod log;
mod memory;
mod owner;
#[cfg(feature = "panic-probe")]
mod panic_probe;
mod probe;
mod raw;
mod renew;
mod restart;
mod saved_file;
mod scan;
mod settings;
mod snapshot;
mod sql_types;
mod stats;
mod subtransaction;
mod usage;

use pgrx::prelude::*;

pgrx::pg_module_magic!(name, version);

#[pg_guard]
pub extern "C-unwind" fn _PG_init() {
    // Beside the product, it would define the same settings.
    if cfg!(feature = "panic-probe") {
        return;
    }
    settings::define();
    memory::share_if_preloaded();
    usage::register();
    identity::watch_transactions();
}
