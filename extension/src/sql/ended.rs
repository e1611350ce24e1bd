//! Whether a key has ended, for what is written in SQL.

use crate::pg::state::clock;
use apikey_core::{Ended, Ends};
use pgrx::datum::TimestampWithTimeZone;
use pgrx::prelude::*;

#[pg_extern(volatile, parallel_safe)]
fn ended(
    revoked_at: Option<TimestampWithTimeZone>,
    expires_at: Option<TimestampWithTimeZone>,
    disabled_at: Option<TimestampWithTimeZone>,
) -> Option<&'static str> {
    let [revoked_at, expires_at, disabled_at] =
        [revoked_at, expires_at, disabled_at].map(|at| at.map(TimestampWithTimeZone::into_inner));
    Ends { revoked_at, expires_at, disabled_at }.ended(clock).map(Ended::name)
}
