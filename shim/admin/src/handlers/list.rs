//! The list of keys.

use super::lookup::known_scopes;
use crate::context::Authenticated;
use crate::db::connection::Connection;
use crate::db::{key_list, membership};
use crate::error::Error;
use crate::link::with_query;
use crate::response::{Response, see_other};
use crate::views::list;
use apikey_format::is_prefix;

pub async fn show(user: &Authenticated<'_>, connection: &Connection) -> Result<Response, Error> {
    let query = &user.context.request.query;
    if let Some(prefix) = prefix_of_key(query.get("q")) {
        // A whole key that was pasted does not stay in the browser's address.
        return Ok(see_other(&with_query("/keys", &query.query_with("q", prefix))));
    }
    if !user.permissions.list() {
        let remedy = membership::remedy(connection).await;
        return Ok(list::hidden(user, remedy.as_deref()));
    }
    let schema = &user.permissions.schema;
    let page = key_list::page(connection, schema, query).await?;
    let choices = key_list::choices(connection, schema).await?;
    let known = known_scopes(user, connection).await?;
    Ok(list::show(user, &page, &choices, &known))
}

/// A long word behind a full stop may be a secret; several words are a name.
fn prefix_of_key(text: &str) -> Option<&str> {
    let (prefix, secret) = text.trim().split_once('.')?;
    let is_secret = secret.len() >= 16 && !secret.contains(char::is_whitespace);
    (is_prefix(prefix) && is_secret).then_some(prefix)
}
