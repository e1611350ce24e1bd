//! One key, to look at.

use super::lookup::{find, known_scopes};
use crate::admin::context::Authenticated;
use crate::admin::db::connection::Connection;
use crate::admin::error::Error;
use crate::admin::key_form::KeyForm;
use crate::admin::response::Response;
use crate::admin::token;
use crate::admin::views::edit::EditForm;
use crate::admin::views::key;

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
