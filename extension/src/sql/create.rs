//! The steps of issuing a key that SQL cannot do. `apikey_create` puts them together.

use crate::hash_permit::HashPermit;
use crate::shmem::memory;
use crate::{error, gucs};
use apikey_core::GeneratedKey;
use apikey_format::Key;
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
    let key = generated(key)?;
    HashPermit::wait(memory()?, key).hash(key, gucs::argon2_params())
}

/// What is stored beside the verifier of a generated key, so that a wrong secret costs no hash.
#[pg_extern(immutable, parallel_safe, strict)]
fn make_tag(key: &str, verifier: &str) -> Result<i32, ErrorReport> {
    let key = generated(key)?;
    Ok(apikey_core::tag(key, verifier).cast_signed())
}

/// Keys of other shapes move in with a verifier of their own, and none is made here.
fn generated(key: &str) -> Result<Key<'_>, ErrorReport> {
    Key::parse(key).filter(|key| key.is_generated()).ok_or_else(error::not_a_key)
}
