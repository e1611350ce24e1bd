//! The two steps of issuing a key that SQL cannot do. `apikey_create` puts them together.

use crate::{error, settings};
use apikey_core::GeneratedKey;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

/// A fresh key. It is returned once and kept nowhere.
#[pg_extern(volatile, parallel_unsafe)]
fn generate_key() -> Result<String, ErrorReport> {
    let key = GeneratedKey::new().map_err(|failed| error::from_hash(failed.into()))?;
    Ok(key.as_str().to_owned())
}

/// The Argon2id hash of a key, as a PHC string, at the cost that the settings name.
#[pg_extern(volatile, parallel_unsafe, strict)]
fn make_verifier(key: &str) -> Result<String, ErrorReport> {
    apikey_core::hash(key, settings::argon2_params()).map_err(error::from_hash)
}
