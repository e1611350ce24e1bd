//! What the checks of the whole server came to since it started.

use pgrx::pg_sys;
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
    pub fn add(&self, counter: Counter) {
        // SAFETY: the number of the process was set before it runs any function of ours.
        let process = unsafe { pg_sys::MyProcPid }.unsigned_abs() as usize;
        self.0[process % STRIPES].0[counter as usize].fetch_add(1, Relaxed);
    }

    /// Each counter's name and sum.
    pub fn sums(&self) -> [(&'static str, u64); COUNTERS.len()] {
        let sum = |at: usize| self.0.iter().map(|stripe| stripe.0[at].load(Relaxed)).sum();
        COUNTERS.map(|(counter, name)| (name, sum(counter as usize)))
    }
}
