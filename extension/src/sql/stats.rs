//! What the checks of the whole server came to since it started, for the view `apikey_stats`.

use crate::shmem::{memory, usage_memory};
use pgrx::iter::TableIterator;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use std::sync::atomic::Ordering::Relaxed;

#[pg_extern(volatile, parallel_unsafe)]
fn stats()
-> Result<TableIterator<'static, (name!(name, &'static str), name!(value, i64))>, ErrorReport> {
    let memory = memory()?;
    let rows = memory.counters.sums().into_iter().chain([
        ("proof_evictions", memory.evictions.load(Relaxed)),
        ("usage_dropped", usage_memory().map_or(0, |memory| memory.header.dropped())),
        ("preloaded", memory.is_shared.into()),
    ]);
    Ok(TableIterator::new(rows.map(|(name, value)| (name, value.cast_signed()))))
}
