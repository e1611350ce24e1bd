//! Statements that write to the extension's tables run as the tables' owner, as a SECURITY DEFINER
//! function would.

use pgrx::pg_sys::{self, Oid};
use std::ffi::CStr;

const SAFE_PATH: &CStr = c"pg_catalog, pg_temp";

/// Lasts until it is dropped. After an error, Postgres goes back to the caller's user and settings
/// by itself.
pub struct ActingAsOwner {
    user: Oid,
    context: i32,
    settings: i32,
}

impl ActingAsOwner {
    /// For work that nobody asked for: no trigger of somebody else's makes objects that outlast it.
    pub fn restricted(owner: Oid) -> Self {
        let restriction = pg_sys::SECURITY_RESTRICTED_OPERATION.cast_signed();
        let (mut user, mut context) = (Oid::INVALID, 0);
        // SAFETY: what fmgr does around a SECURITY DEFINER function that sets its search_path,
        // inside a transaction.
        unsafe {
            pg_sys::GetUserIdAndSecContext(&mut user, &mut context);
            pg_sys::SetUserIdAndSecContext(owner, context | restriction);
            let settings = pg_sys::NewGUCNestLevel();
            pg_sys::set_config_option(
                c"search_path".as_ptr(),
                SAFE_PATH.as_ptr(),
                pg_sys::GucContext::PGC_USERSET,
                pg_sys::GucSource::PGC_S_SESSION,
                pg_sys::GucAction::GUC_ACTION_SAVE,
                true,
                0,
                false,
            );
            Self { user, context, settings }
        }
    }
}

impl Drop for ActingAsOwner {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        // SAFETY: undoes what `restricted` did, in the same transaction.
        unsafe {
            pg_sys::AtEOXact_GUC(true, self.settings);
            pg_sys::SetUserIdAndSecContext(self.user, self.context);
        }
    }
}
