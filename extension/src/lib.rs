//! The glue between Postgres and `apikey-core`. The SQL side of each function stands in `sql/`.

#![allow(clippy::result_large_err, reason = "pgrx's ErrorReport is large, and ends the statement")]

mod check;
mod error;
mod grants;
mod identity;
mod issue;
#[cfg(feature = "panic-probe")]
mod panic_probe;
mod renew;
mod settings;

use pgrx::prelude::*;

pgrx::pg_module_magic!(name, version);

#[pg_guard]
pub extern "C-unwind" fn _PG_init() {
    settings::define();
    identity::watch_transactions();
}
