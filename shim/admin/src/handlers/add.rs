//! "ADD API KEY": a new key, which the one answer to its form shows.

use super::lookup::known_scopes;
use crate::auth;
use crate::context::Authenticated;
use crate::db::actions::{self, NewKey};
use crate::db::connection::Connection;
use crate::error::Error;
use crate::key_form::{Field, KeyForm, Mistake, mistake_of};
use crate::response::Response;
use crate::token;
use crate::views::add::show;
use crate::views::new_key;

pub async fn form(user: &Authenticated<'_>, connection: &Connection) -> Result<Response, Error> {
    allowed(user)?;
    let known = known_scopes(user, connection).await?;
    Ok(show(user, &KeyForm::default(), &[], &known, &token::random()?))
}

pub async fn send(user: &Authenticated<'_>, connection: &Connection) -> Result<Response, Error> {
    allowed(user)?;
    let texts = user.context.texts;
    let known = known_scopes(user, connection).await?;
    let input = KeyForm::of_form(&user.context.request.form);
    let mut mistakes = input.mistakes(&known, texts);
    if !input.create_revoke {
        mistakes.push((Field::CreateRevoke, texts.create_revoke_missing.to_owned()));
    }
    if !mistakes.is_empty() {
        return Ok(show(user, &input, &mistakes, &known, &token::random()?));
    }
    let auth = auth::granting(&input.scopes(), None).to_string();
    Ok(match create(user, connection, &input, &auth).await? {
        Ok(key) => new_key::show(user, &key, None),
        Err(mistake) => show(user, &input, &[mistake], &known, &token::random()?),
    })
}

/// A form makes one key, however often it is sent.
pub async fn create(
    user: &Authenticated<'_>,
    connection: &Connection,
    input: &KeyForm,
    auth: &str,
) -> Result<Result<String, Mistake>, Error> {
    let once = user.context.request.form.get("once");
    if !token::has_shape(once) {
        return Err(Error::BadRequest);
    }
    if !user.session.is_first(once) {
        return Err(Error::SentBefore);
    }
    let networks = input.networks();
    let new = NewKey {
        name: &input.name,
        auth,
        ips: &networks,
        owner: &input.owner,
        expires_at: &input.expires_at,
        tenant: &input.tenant,
    };
    let error = match actions::create(connection, &new).await {
        Ok(key) => return Ok(Ok(key)),
        Err(error) => error,
    };
    // The database said no. Without a word from it, nobody knows.
    if error.code().is_some() {
        user.session.not_sent(once);
    }
    match mistake_of(&error, user.context.texts) {
        Some(mistake) => Ok(Err(mistake)),
        None => Err(error.into()),
    }
}

fn allowed(user: &Authenticated<'_>) -> Result<(), Error> {
    if user.permissions.create() { Ok(()) } else { Err(Error::NotAllowed) }
}
