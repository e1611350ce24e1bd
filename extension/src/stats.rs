//! What the checks of the whole server came to since it started, for the view `apikey_stats`.

use crate::memory::memory;
use crate::usage;
use pgrx::iter::TableIterator;
use pgrx::pg_sys::{self, panic::ErrorReport};
use pgrx::prelude::*;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Mostly a backend counts in a stripe of its own, so as to wait for nobody's cache line.
const STRIPES: usize = 16;

#[derive(Clone, Copy)]
pub enum Counter {
    Accepted,
    WrongAddress,
    Malformed,
    UnknownPrefix,
    WrongSecret,
    WrongTenant,
    Revoked,
    Disabled,
    Expired,
    ProofHits,
    ProofMisses,
    Hashes,
    HashWaits,
}

const COUNTERS: [(Counter, &str); 13] = [
    (Counter::Accepted, "accepted"),
    (Counter::WrongAddress, "wrong_address"),
    (Counter::Malformed, "malformed"),
    (Counter::UnknownPrefix, "unknown_prefix"),
    (Counter::WrongSecret, "wrong_secret"),
    (Counter::WrongTenant, "wrong_tenant"),
    (Counter::Revoked, "revoked"),
    (Counter::Disabled, "disabled"),
    (Counter::Expired, "expired"),
    (Counter::ProofHits, "proof_hits"),
    (Counter::ProofMisses, "proof_misses"),
    (Counter::Hashes, "hashes"),
    (Counter::HashWaits, "hash_waits"),
];

#[repr(C)]
pub struct Counters([Stripe; STRIPES]);

#[repr(C, align(64))]
struct Stripe([AtomicU64; COUNTERS.len()]);

impl Counters {
    #[allow(unsafe_code)]
    pub fn add(&self, counter: Counter) {
        // SAFETY: the number of the process was set before it runs any function of ours.
        let process = unsafe { pg_sys::MyProcPid }.unsigned_abs() as usize;
        self.0[process % STRIPES].0[counter as usize].fetch_add(1, Relaxed);
    }

    fn sum(&self, counter: Counter) -> u64 {
        self.0.iter().map(|stripe| stripe.0[counter as usize].load(Relaxed)).sum()
    }
}

#[pg_extern(volatile, parallel_unsafe)]
fn stats()
-> Result<TableIterator<'static, (name!(name, &'static str), name!(value, i64))>, ErrorReport> {
    let memory = memory()?;
    let sums = COUNTERS.map(|(counter, name)| (name, memory.counters.sum(counter)));
    let rows = sums.into_iter().chain([
        ("proof_evictions", memory.evictions.load(Relaxed)),
        ("usage_dropped", usage::dropped()),
        ("preloaded", memory.is_shared.into()),
    ]);
    Ok(TableIterator::new(rows.map(|(name, value)| (name, value.cast_signed()))))
}
