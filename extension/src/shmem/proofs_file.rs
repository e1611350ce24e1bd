//! A clean shutdown saves the proofs of generated keys in a file, so that a server that restarts
//! under load does not hash every key again at once.

use super::saved_file::SavedFile;
use apikey_core::{MacKey, Proof, ProofTable};
use pgrx::prelude::*;

const FILE: SavedFile =
    SavedFile { path: "pg_stat/apikey_proofs", unfinished: "pg_stat/apikey_proofs.new" };

/// What the last shutdown has saved. After a crash that is nothing: proofs are made again, a few at
/// a time.
pub fn load() -> Option<(MacKey, Vec<Proof>)> {
    let saved = FILE.load().unwrap_or_else(|error| {
        log!("apikey: cannot take {}, keys are hashed again: {error}", FILE.path);
        None
    })?;
    let restored = apikey_core::restore(&saved);
    if restored.is_none() {
        log!("apikey: {} was not whole and is ignored: keys are hashed again", FILE.path);
    }
    restored.map(|(mac_key, proofs)| (mac_key, proofs.collect()))
}

pub fn save(mac_key: &MacKey, proofs: ProofTable<'_>) {
    if let Err(error) = FILE.save(&apikey_core::save(mac_key, proofs)) {
        log!("apikey: cannot write {}, keys will be hashed again: {error}", FILE.path);
    }
}
