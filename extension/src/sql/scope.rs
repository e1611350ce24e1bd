//! Whether an `auth` grants a scope.

use crate::error::not_an_auth;
use apikey_core::Auth;
use pgrx::JsonB;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

#[pg_extern(immutable, parallel_safe, strict)]
fn grants(auth: JsonB, scope: &str) -> Result<bool, ErrorReport> {
    let auth = Auth::try_from(auth.0).map_err(not_an_auth)?;
    Ok(auth.grants(scope))
}
