//! A hash that is not of the kind and cost that is set is replaced on the first good check, the only moment
//! at which the key is at hand.

use crate::error::{internal, report};
use crate::hashing::Turn;
use crate::log::log;
use crate::memory::Memory;
use crate::owner::ActingAsOwner;
use crate::probe::Row;
use crate::settings;
use crate::subtransaction::attempt;
use apikey_core::{Key, is_current, tag};
use pgrx::datum::DatumWithOid;
use pgrx::pg_sys::panic::{CaughtError::PostgresError, ErrorReport, ErrorReportWithLevel};
use pgrx::pg_sys::{self, errcodes::PgSqlErrorCode as Code};
use pgrx::prelude::*;

/// Compare and set: a row that changed since is left alone, and so is one that somebody holds, since a
/// check waits for nobody. What stands beside the verifier, such as a revocation, is not touched.
macro_rules! renew {
    ($columns:literal) => {
        concat!(
            "UPDATE apikey.key SET ",
            $columns,
            " WHERE prefix = (SELECT prefix FROM apikey.key WHERE prefix = $1 AND verifier = $2
                                 FOR NO KEY UPDATE SKIP LOCKED)"
        )
    };
}

/// Does nothing when the verifier is as it should be, or where this session cannot write.
pub fn renew(memory: Memory, key: Key<'_>, row: &Row) -> Result<(), ErrorReport> {
    let wanted = settings::argon2_params();
    if is_current(row.verifier(), wanted) || !may_write() {
        return Ok(());
    }
    // A valid key stays valid where its upkeep fails for want of memory or of room on the disk: the next check tries again.
    let Ok(renewed) = Turn::wait(memory, key).hash(key, wanted) else { return Ok(()) };
    memory.proofs.insert(row.proof(memory, key, &renewed));
    match attempt(|| store(key, row, &renewed)) {
        Err(PostgresError(why)) if is_want_of_room(why.sql_error_code()) => {
            log(not_stored(key, why))
        }
        Err(error) => error.rethrow(),
        Ok(()) => {}
    }
    Ok(())
}

fn is_want_of_room(code: Code) -> bool {
    matches!(
        code,
        Code::ERRCODE_DISK_FULL
            | Code::ERRCODE_OUT_OF_MEMORY
            | Code::ERRCODE_INSUFFICIENT_RESOURCES
    )
}

fn not_stored(key: Key<'_>, why: ErrorReportWithLevel) -> ErrorReport {
    let message =
        format!("the new hash of API key {} is not stored: {}", key.prefix(), why.message());
    report(why.sql_error_code(), message)
        .set_hint("Make room. Until then the key works, but each check of it pays for a hash.")
}

fn store(key: Key<'_>, row: &Row, renewed: &str) -> Result<(), ErrorReport> {
    let _owner = ActingAsOwner::begin(row.table.owner);
    let [prefix, old, new] = [key.prefix(), row.verifier(), renewed].map(DatumWithOid::from);
    Spi::connect_mut(|client| {
        match row.tag() {
            // A secret without a tag keeps without: a person may have chosen it.
            None => client.update(renew!("verifier = $3"), None, &[prefix, old, new]),
            Some(_) => {
                let tag = DatumWithOid::from(tag(key, renewed).cast_signed());
                client.update(renew!("verifier = $3, tag = $4"), None, &[prefix, old, new, tag])
            }
        }
        .map(|_| ())
    })
    .map_err(internal)
}

/// Not on a standby, in a read-only transaction or beside parallel workers. Nor in a snapshot that outlives
/// its statement, where a row that changed meanwhile would make the check an error.
#[allow(unsafe_code)]
fn may_write() -> bool {
    // SAFETY: each reads a piece of the backend's transaction state.
    unsafe {
        !pg_sys::RecoveryInProgress()
            && !pg_sys::XactReadOnly
            && !pg_sys::IsInParallelMode()
            && pg_sys::XactIsoLevel <= pg_sys::XACT_READ_COMMITTED as i32
    }
}
