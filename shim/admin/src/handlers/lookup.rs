//! What several pages look up first.

use crate::context::Authenticated;
use crate::db::connection::Connection;
use crate::db::key::{self, Key};
use crate::db::scopes::{self, Scope};
use crate::error::Error;
use apikey_format::is_prefix;

/// A key and its version.
pub async fn find(
    user: &Authenticated<'_>,
    connection: &Connection,
    prefix: &str,
) -> Result<(Key, String), Error> {
    if !is_prefix(prefix) {
        return Err(Error::NotFound);
    }
    if !user.permissions.list() {
        return Err(Error::NotAllowed);
    }
    let found = key::find(connection, &user.permissions.schema, prefix).await?;
    found.ok_or(Error::NoSuchKey)
}

/// Empty where none are kept, or where the role may not read them: then any may be typed.
pub async fn known_scopes(
    user: &Authenticated<'_>,
    connection: &Connection,
) -> Result<Vec<Scope>, Error> {
    match user.permissions.scopes() {
        true => Ok(scopes::known(connection).await?),
        false => Ok(Vec::new()),
    }
}
