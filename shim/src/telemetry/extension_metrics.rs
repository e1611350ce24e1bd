//! What the extension has counted, in Prometheus's terms.

use std::sync::atomic::Ordering;

use prometheus_client::encoding::prometheus_text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::metrics::{Label, add};
use crate::keys::stats::Stats;

/// In Prometheus's text format. A name that a newer extension brings is left out.
pub fn text(stats: &Stats) -> Result<String, std::fmt::Error> {
    let mut all = Registry::with_prefix("apikey_postgres");
    let checks: Family<Label, Counter> =
        add(&mut all, "checks", "Checks of keys on the Postgres server");
    let proofs: Family<Label, Counter> =
        add(&mut all, "proofs", "Whether the proof that a key matches its hash was in memory");
    let evictions: Counter =
        add(&mut all, "proof_evictions", "Proofs that others took the place of");
    let hashes: Counter = add(&mut all, "hashes", "Runs of the slow hash");
    let waits: Counter = add(&mut all, "hash_waits", "Runs that waited for their turn");
    let dropped: Counter =
        add(&mut all, "usage_dropped", "Uses that were not counted for their key");
    for (name, value) in &stats.0 {
        let counter = match name.as_str() {
            "proof_hits" => proofs.get_or_create_owned(&[("result", "hit")]),
            "proof_misses" => proofs.get_or_create_owned(&[("result", "miss")]),
            "proof_evictions" => evictions.clone(),
            "hashes" => hashes.clone(),
            "hash_waits" => waits.clone(),
            "usage_dropped" => dropped.clone(),
            name => match OUTCOMES.iter().find(|outcome| **outcome == name) {
                Some(outcome) => checks.get_or_create_owned(&[("outcome", outcome)]),
                None => continue,
            },
        };
        counter.inner().store(value.unsigned_abs(), Ordering::Relaxed);
    }
    let mut text = String::new();
    encode(&mut text, &all)?;
    Ok(text)
}
const OUTCOMES: [&str; 9] = [
    "accepted",
    "wrong_address",
    "malformed",
    "unknown_prefix",
    "wrong_secret",
    "wrong_tenant",
    "revoked",
    "disabled",
    "expired",
];
