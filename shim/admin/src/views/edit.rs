//! The form that changes a key, with the box "Create / Revoke".

use maud::{Markup, html};

use super::fields::Fields;
use crate::context::Authenticated;
use crate::db::key::Key;
use crate::db::scopes::Scope;
use crate::key_form::{KeyForm, Mistake};
use crate::link;

/// What is in it.
pub struct EditForm<'a> {
    pub input: &'a KeyForm,
    pub mistakes: &'a [Mistake],
    pub known: &'a [Scope],
    /// The key as somebody else left it meanwhile.
    pub theirs: Option<&'a Key>,
    pub version: &'a str,
}

pub fn form(user: &Authenticated<'_>, key: &Key, form: &EditForm<'_>, once: &str) -> Markup {
    let texts = user.context.texts;
    let EditForm { input, mistakes, known, theirs, version } = *form;
    let fields = Fields { texts, input, mistakes, known, theirs };
    let (may_tick, hint) = match key.is_revoked() {
        true => (user.permissions.create(), texts.create_again_hint),
        false => (user.permissions.revoke(), texts.revoke_hint),
    };
    html! {
        section aria-labelledby="edit" {
            h2 #edit { (texts.edit) }
            (fields.summary())
            form .card method="post" action=(link::key(&key.prefix)) novalidate {
                input type="hidden" name="csrf" value=(user.session.csrf);
                input type="hidden" name="version" value=(version);
                input type="hidden" name="once" value=(once);
                (fields.name())
                (fields.auth())
                (fields.ips())
                (fields.expires_at())
                (fields.owner())
                @if may_tick { (fields.create_revoke(hint)) }
                div .actions { button .main type="submit" { (texts.save) } a href="/keys" { (texts.cancel) } }
            }
        }
    }
}
