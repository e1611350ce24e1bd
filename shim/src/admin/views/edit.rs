//! Changing a key, and the box "Create / Revoke".

use maud::{Markup, html};

use super::fields::Fields;
use super::key::{find, page};
use super::{add, new_key};
use crate::admin::context::Authenticated;
use crate::admin::db::key::{self, Changes, Key};
use crate::admin::db::scopes::{self, Scope};
use crate::admin::error::Error;
use crate::admin::key_form::{Field, KeyForm, Mistake, mistake_of};
use crate::admin::lang::Notice;
use crate::admin::link;
use crate::admin::response::{Response, see_other};
use crate::admin::token;

/// What is in the form that changes the key.
pub struct Form<'a> {
    pub input: &'a KeyForm,
    pub mistakes: &'a [Mistake],
    /// The key as somebody else left it meanwhile.
    pub theirs: Option<&'a Key>,
    pub version: &'a str,
}

/// Changes are saved only on what the form showed. Then the box: it ends the key of a live entry, and makes a new
/// one for an entry whose key is revoked.
pub async fn send(user: &Authenticated<'_>, prefix: &str) -> Result<Response, Error> {
    if !user.permissions.edit() {
        return Err(Error::NotAllowed);
    }
    let texts = user.context.texts;
    let (key, version) = find(user, prefix).await?;
    let known = scopes::known(user).await?;
    let sent = &user.context.request.form;
    // Not in this form, since it cannot be changed.
    let input =
        KeyForm { tenant: key.tenant.clone(), ..KeyForm::of_form(sent).keeping(sent, &key) };
    if sent.get("version") != version {
        let form = Form { input: &input, mistakes: &[], theirs: Some(&key), version: &version };
        return page(user, &key, &known, &form);
    }
    let refuse = |mistakes: &[Mistake]| {
        let form = Form { input: &input, mistakes, theirs: None, version: &version };
        page(user, &key, &known, &form)
    };
    let mut mistakes = input.mistakes(&known, texts);
    if input.owner.is_empty() {
        mistakes.push((Field::Owner, texts.owner_missing.to_owned()));
    }
    // What the table has is none.
    mistakes.retain(|(field, _)| input.differs(*field, &key));
    if !mistakes.is_empty() {
        return refuse(&mistakes);
    }
    if input.create_revoke && key.is_revoked() {
        let auth = scopes::auth(&input.scopes(), Some(&key.auth)).to_string();
        return match add::create_with(user, &input, &auth).await? {
            Ok(fresh) => Ok(new_key::show(user, &fresh, Some(prefix))),
            Err(mistake) => refuse(&[mistake]),
        };
    }
    let changes = changes(&input, &key);
    let outcome = save(user, prefix, &version, &changes, input.create_revoke).await;
    match outcome {
        Ok(Some(notice)) => {
            user.session.notify(notice);
            Ok(see_other(&link::key(prefix)))
        }
        // Between our look and our change.
        Ok(None) => {
            let (key, version) = find(user, prefix).await?;
            let form = Form { input: &input, mistakes: &[], theirs: Some(&key), version: &version };
            page(user, &key, &known, &form)
        }
        Err(error) => match mistake_of(&error, texts) {
            Some(mistake) => refuse(&[mistake]),
            None => Err(error.into()),
        },
    }
}

/// Both or nothing: what was changed, and the revocation. `None` where somebody else was faster.
async fn save(
    user: &Authenticated<'_>,
    prefix: &str,
    version: &str,
    changes: &Changes,
    revoke: bool,
) -> Result<Option<Notice>, tokio_postgres::Error> {
    let connection = user.connection;
    if changes.is_empty() && !revoke {
        return Ok(Some(Notice::Unchanged));
    }
    connection.begin().await?;
    let doing = async {
        if !changes.is_empty() && !key::change(connection, prefix, version, changes).await? {
            return Ok(None);
        }
        if !revoke {
            return Ok(Some(Notice::Saved));
        }
        let now = key::revoke(user, prefix, "").await?;
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
        auth: changed(Field::Auth, scopes::auth(&input.scopes(), Some(&key.auth)).to_string()),
        ips: changed(Field::Ips, input.networks()),
        expires_at: changed(Field::ExpiresAt, input.expires_at.clone()),
    }
}

pub fn form(
    user: &Authenticated<'_>,
    key: &Key,
    known: &[Scope],
    form: &Form<'_>,
) -> Result<Markup, Error> {
    let texts = user.context.texts;
    let fields =
        Fields { texts, input: form.input, mistakes: form.mistakes, known, theirs: form.theirs };
    let (may_tick, hint) = match key.is_revoked() {
        true => (user.permissions.create(), texts.create_again_hint),
        false => (user.permissions.revoke(), texts.revoke_hint),
    };
    Ok(html! {
        section aria-labelledby="edit" {
            h2 #edit { (texts.edit) }
            (fields.summary())
            form .card method="post" action=(link::key(&key.prefix)) novalidate {
                input type="hidden" name="csrf" value=(user.session.csrf);
                input type="hidden" name="version" value=(form.version);
                input type="hidden" name="once" value=(token::random()?);
                (fields.name())
                (fields.auth())
                (fields.ips())
                (fields.expires_at())
                (fields.owner())
                @if may_tick { (fields.create_revoke(hint)) }
                div .actions { button .main type="submit" { (texts.save) } a href="/keys" { (texts.cancel) } }
            }
        }
    })
}
