//! `apikey_check`: the answer to a question about a key.

use super::types::{Inet, Json};
use crate::error::internal;
use crate::hash_permit::HashPermit;
use crate::shmem::memory;
use crate::verification::{Hash, Question, verify};
use apikey_core::Reason;
use apikey_format::Key;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

/// What is said at once of a key that only a slow hash could tell from a wrong one.
const NEEDS_HASH: &str = r#"{"needs_hash":true}"#;

/// The answer for a valid key; NULL for any other text, whatever is wrong with it.
#[pg_extern(volatile, parallel_safe)]
fn apikey_check(key: Option<&str>, ip: Option<Inet>) -> Result<Option<Json>, ErrorReport> {
    check(key, ip, None, Hash::Wait)
}

/// The same for the keys of one tenant.
#[pg_extern(name = "apikey_check", volatile, parallel_safe)]
fn check_in_tenant(
    key: Option<&str>,
    ip: Option<Inet>,
    tenant: Option<&str>,
) -> Result<Option<Json>, ErrorReport> {
    check(key, ip, tenant, Hash::Wait)
}

/// The same without waiting for a slow hash. Where there is no other way it says so, and has
/// counted nothing.
#[pg_extern(volatile, parallel_safe)]
fn check_key_at_once(
    key: Option<&str>,
    ip: Option<Inet>,
    tenant: Option<&str>,
) -> Result<Option<Json>, ErrorReport> {
    check(key, ip, tenant, Hash::Never)
}

/// The prefix of a key. NULL: the text is not a key.
#[pg_extern(immutable, parallel_safe, strict)]
fn prefix_of(key: &str) -> Option<String> {
    Key::parse(key).map(|key| key.prefix().to_owned())
}

/// Whether a verifier was made from a key.
#[pg_extern(volatile, parallel_safe, strict)]
fn matches(key: &str, verifier: &str) -> Result<bool, ErrorReport> {
    let Some(key) = Key::parse(key) else { return Ok(false) };
    HashPermit::wait(memory()?, key).verify(key, verifier)
}

fn check(
    key: Option<&str>,
    ip: Option<Inet>,
    tenant: Option<&str>,
    hash: Hash,
) -> Result<Option<Json>, ErrorReport> {
    let verdict = verify(&Question { key, ip: ip.map(|ip| ip.0), scope: None, tenant }, hash)?;
    match verdict.valid {
        Some((_, answer)) => serde_json::to_string(&answer).map(Json).map(Some).map_err(internal),
        None if verdict.reason == Reason::NeedsHash => Ok(Some(Json(NEEDS_HASH.to_owned()))),
        None => Ok(None),
    }
}
