//! "ADD API KEY": the form of a new key.

use hyper::StatusCode;
use maud::html;

use super::fields::Fields;
use super::layout::respond;
use crate::context::Authenticated;
use crate::db::scopes::Scope;
use crate::key_form::{Field, KeyForm, Mistake};
use crate::response::Response;

pub fn show(
    user: &Authenticated<'_>,
    input: &KeyForm,
    mistakes: &[Mistake],
    known: &[Scope],
    once: &str,
) -> Response {
    let texts = user.context.texts;
    let fields = Fields { texts, input, mistakes, known, theirs: None };
    let body = html! {
        (fields.summary())
        form .card method="post" action="/keys/new" novalidate {
            input type="hidden" name="csrf" value=(user.session.csrf);
            input type="hidden" name="once" value=(once);
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
    respond(user.context, status, texts.add_title, &body)
}
