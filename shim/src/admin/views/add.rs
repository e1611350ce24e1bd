//! "ADD API KEY": the form of a new key, and the one answer that shows it.

use hyper::StatusCode;
use maud::html;

use super::fields::Fields;
use super::{new_key, respond};
use crate::admin::context::Authenticated;
use crate::admin::db::key::{self, NewKey};
use crate::admin::db::scopes::{self, Scope};
use crate::admin::error::Error;
use crate::admin::key_form::{Field, KeyForm, Mistake, mistake_of};
use crate::admin::response::Response;
use crate::admin::token;

pub async fn form(user: &Authenticated<'_>) -> Result<Response, Error> {
    allowed(user)?;
    let known = scopes::known(user).await?;
    show(user, &KeyForm::default(), &[], &known)
}

pub async fn send(user: &Authenticated<'_>) -> Result<Response, Error> {
    allowed(user)?;
    let texts = user.context.texts;
    let known = scopes::known(user).await?;
    let input = KeyForm::of_form(&user.context.request.form);
    let mut mistakes = input.mistakes(&known, texts);
    if !input.create_revoke {
        mistakes.push((Field::CreateRevoke, texts.create_revoke_missing.to_owned()));
    }
    if !mistakes.is_empty() {
        return show(user, &input, &mistakes, &known);
    }
    match create(user, &input).await? {
        Ok(key) => Ok(new_key::show(user, &key, None)),
        Err(mistake) => show(user, &input, &[mistake], &known),
    }
}

/// A form makes one key, however often it is sent.
pub async fn create(
    user: &Authenticated<'_>,
    input: &KeyForm,
) -> Result<Result<String, Mistake>, Error> {
    let auth = scopes::auth(&input.scopes(), None).to_string();
    create_with(user, input, &auth).await
}

pub async fn create_with(
    user: &Authenticated<'_>,
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
    let error = match key::create(user, &new).await {
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

fn show(
    user: &Authenticated<'_>,
    input: &KeyForm,
    mistakes: &[Mistake],
    known: &[Scope],
) -> Result<Response, Error> {
    let texts = user.context.texts;
    let fields = Fields { texts, input, mistakes, known, theirs: None };
    let body = html! {
        (fields.summary())
        form .card method="post" action="/keys/new" novalidate {
            input type="hidden" name="csrf" value=(user.session.csrf);
            input type="hidden" name="once" value=(token::random()?);
            (fields.name())
            (fields.auth())
            (fields.ips())
            (fields.expires_at())
            details open[!input.owner.is_empty() || !input.tenant.is_empty()
                || mistakes.iter().any(|(field, _)| [Field::Owner, Field::Tenant].contains(field))] {
                summary { (texts.more) }
                (fields.owner())
                (fields.tenant())
            }
            (fields.create_revoke(texts.create_hint))
            div .actions {
                button .main type="submit" { (texts.save) }
                a href="/keys" { (texts.cancel) }
            }
        }
    };
    let status =
        if mistakes.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    Ok(respond(user.context, status, texts.add_title, &body))
}
