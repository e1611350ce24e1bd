//! One key, to look at.

use super::lookup::{find, known_scopes};
use crate::context::Authenticated;
use crate::db::connection::Connection;
use crate::error::Error;
use crate::key_form::KeyForm;
use crate::response::Response;
use crate::token;
use crate::views::edit::EditForm;
use crate::views::key;

pub async fn show(
    user: &Authenticated<'_>,
    connection: &Connection,
    prefix: &str,
) -> Result<Response, Error> {
    let (key, version) = find(user, connection, prefix).await?;
    let known = known_scopes(user, connection).await?;
    let form = EditForm {
        input: &KeyForm::of_key(&key),
        mistakes: &[],
        known: &known,
        theirs: None,
        version: &version,
    };
    Ok(key::show(user, &key, &form, &token::random()?))
}
