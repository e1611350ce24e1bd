//! A hash that is not of the kind and cost that is set is renewed on a good check, the only moment
//! at which the key is at hand. A check writes nothing: it hands the new hash to the worker that
//! stores the use of keys.

use crate::gucs;
use crate::hash_permit::HashPermit;
use crate::pg::state::{is_standby, this_database};
use crate::shmem::{Memory, usage_memory};
use crate::table::row::Row;
use apikey_core::{KeyId, NotNow, is_current, tag};
use apikey_format::Key;
use pgrx::pg_sys::TimestampTz;

/// Does nothing when the verifier is as it should be, where nobody could store a new one, or when
/// there is anything to wait for: another check will do.
pub fn rehash(memory: Memory, key: Key<'_>, row: &Row, now: TimestampTz) {
    let wanted = gucs::argon2_params();
    if is_current(row.verifier(), wanted) || is_standby() {
        return;
    }
    let Some(usage) = usage_memory() else { return };
    let Some(id) = KeyId::new(this_database(), key.prefix()) else { return };
    let claim = match usage.rehashes.claim(id, row.verifier(), now) {
        Ok(claim) => claim,
        Err(NotNow::Full) => return usage.header.ask_for_a_round(),
        Err(NotNow::Known | NotNow::Busy | NotNow::Stuck | NotNow::TooLong) => return,
    };
    let Some(permit) = HashPermit::take(memory) else { return };
    // The key stays valid where its upkeep fails for want of memory.
    let Ok(renewed) = permit.hash(key, wanted) else { return };
    memory.proofs.insert(row.proof(memory.mac_key, key, &renewed));
    // A secret without a tag keeps without: a person may have chosen it.
    claim.note(&renewed, row.tag().map(|_| tag(key, &renewed)));
}
