//! Changing a key, and the box "Create / Revoke".

use super::add::create;
use super::lookup::{find, known_scopes};
use crate::auth;
use crate::context::Authenticated;
use crate::db::actions::{self, Changes};
use crate::db::connection::Connection;
use crate::db::key::Key;
use crate::error::Error;
use crate::key_form::{Field, KeyForm, Mistake, mistake_of};
use crate::lang::Notice;
use crate::link;
use crate::response::{Response, see_other};
use crate::token;
use crate::views;
use crate::views::edit::EditForm;
use crate::views::new_key;

/// Changes are saved only if the key is still as the form showed it. The box then revokes a live
/// key, and makes a new one where the key is revoked.
pub async fn send(
    user: &Authenticated<'_>,
    connection: &Connection,
    prefix: &str,
) -> Result<Response, Error> {
    if !user.permissions.edit() {
        return Err(Error::NotAllowed);
    }
    let texts = user.context.texts;
    let (key, version) = find(user, connection, prefix).await?;
    let known = known_scopes(user, connection).await?;
    let sent = &user.context.request.form;
    // The tenant cannot be changed, and is not in this form.
    let input =
        KeyForm { tenant: key.tenant.clone(), ..KeyForm::of_form(sent).keeping(sent, &key) };
    let once = token::random()?;
    let show = |key: &Key, form: EditForm<'_>| Ok(views::key::show(user, key, &form, &once));
    let form =
        EditForm { input: &input, mistakes: &[], known: &known, theirs: None, version: &version };
    if sent.get("version") != version {
        return show(&key, EditForm { theirs: Some(&key), ..form });
    }
    let refuse = |mistakes: &[Mistake]| show(&key, EditForm { mistakes, ..form });
    let mut mistakes = input.mistakes(&known, texts);
    if input.owner.is_empty() {
        mistakes.push((Field::Owner, texts.owner_missing.to_owned()));
    }
    // What the table has already is no mistake.
    mistakes.retain(|(field, _)| input.differs(*field, &key));
    if !mistakes.is_empty() {
        return refuse(&mistakes);
    }
    if input.create_revoke && key.is_revoked() {
        let auth = auth::granting(&input.scopes(), Some(&key.auth)).to_string();
        return match create(user, connection, &input, &auth).await? {
            Ok(fresh) => Ok(new_key::show(user, &fresh, Some(prefix))),
            Err(mistake) => refuse(&[mistake]),
        };
    }
    let changes = changes(&input, &key);
    let outcome = save(connection, prefix, &version, &changes, input.create_revoke).await;
    match outcome {
        Ok(Some(notice)) => {
            user.session.notify(notice);
            Ok(see_other(&link::key(prefix)))
        }
        // Between our look and our change.
        Ok(None) => {
            let (key, version) = find(user, connection, prefix).await?;
            show(&key, EditForm { theirs: Some(&key), version: &version, ..form })
        }
        Err(error) => match mistake_of(&error, texts) {
            Some(mistake) => refuse(&[mistake]),
            None => Err(error.into()),
        },
    }
}

/// Saves the changes and the revocation, or neither. `None` where somebody else was faster.
async fn save(
    connection: &Connection,
    prefix: &str,
    version: &str,
    changes: &Changes,
    revoke: bool,
) -> Result<Option<Notice>, tokio_postgres::Error> {
    if changes.is_empty() && !revoke {
        return Ok(Some(Notice::Unchanged));
    }
    connection.begin().await?;
    let doing = async {
        if !changes.is_empty() && !actions::change(connection, prefix, version, changes).await? {
            return Ok(None);
        }
        if !revoke {
            return Ok(Some(Notice::Saved));
        }
        let now = actions::revoke(connection, prefix, "").await?;
        Ok(Some(if now { Notice::Revoked } else { Notice::RevokedBefore }))
    };
    let outcome = doing.await;
    let ended = connection.end(matches!(outcome, Ok(Some(_)))).await;
    let outcome = outcome?;
    ended.map(|()| outcome)
}

fn changes(input: &KeyForm, key: &Key) -> Changes {
    let changed = |field, new: String| input.differs(field, key).then_some(new);
    Changes {
        name: changed(Field::Name, input.name.clone()),
        owner: changed(Field::Owner, input.owner.clone()),
        auth: changed(Field::Auth, auth::granting(&input.scopes(), Some(&key.auth)).to_string()),
        ips: changed(Field::Ips, input.networks()),
        expires_at: changed(Field::ExpiresAt, input.expires_at.clone()),
    }
}
