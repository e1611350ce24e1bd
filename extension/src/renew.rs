//! A hash that is not of the kind and cost that is set is replaced on the first good check, the only moment
//! at which the key is at hand.

use crate::error::internal;
use crate::settings;
use apikey_core::{Argon2Params, is_current};
use pgrx::datum::DatumWithOid;
use pgrx::pg_sys::{self, panic::ErrorReport};
use pgrx::prelude::*;

/// Compare and set: a row that changed since is left alone, and so is one that somebody holds, since a
/// check waits for nobody. What stands beside the verifier, such as a revocation, is not touched.
const RENEW: &str = "
    UPDATE apikey.key SET verifier = $3
     WHERE prefix = (SELECT prefix FROM apikey.key WHERE prefix = $1 AND verifier = $2
                        FOR NO KEY UPDATE SKIP LOCKED)";

/// Does nothing when the verifier is as it should be, or where this session cannot write.
pub fn renew(key: &str, prefix: &str, verifier: &str) -> Result<(), ErrorReport> {
    let wanted: Argon2Params = settings::argon2_params();
    if is_current(verifier, wanted) || !may_write() {
        return Ok(());
    }
    // A valid key stays valid where its upkeep fails, for want of memory: the next check tries again.
    let Ok(renewed) = apikey_core::hash(key, wanted) else { return Ok(()) };
    let args = [prefix, verifier, &renewed].map(DatumWithOid::from);
    Spi::connect_mut(|client| client.update(RENEW, None, &args).map(|_| ())).map_err(internal)
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
