//! The audit trail: of a key, and of all.

use crate::context::Authenticated;
use crate::db::connection::Connection;
use crate::db::events;
use crate::db::key_list::page_number;
use crate::error::Error;
use crate::response::Response;
use crate::views::audit;
use apikey_format::is_prefix;

/// The trail is of all keys where there is no prefix.
pub async fn show(
    user: &Authenticated<'_>,
    connection: &Connection,
    prefix: Option<&str>,
) -> Result<Response, Error> {
    if prefix.is_some_and(|prefix| !is_prefix(prefix)) {
        return Err(Error::NotFound);
    }
    if !user.permissions.events() {
        return Err(Error::NotAllowed);
    }
    let number = page_number(&user.context.request.query);
    let page = events::page(connection, &user.permissions.schema, prefix, number).await?;
    Ok(audit::show(user, prefix, &page))
}
