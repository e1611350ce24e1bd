//! One key: what it is. What can be changed is in `edit`, and what can be done to it in `actions`.

use hyper::StatusCode;
use maud::{Markup, html};

use super::edit::EditForm;
use super::layout::respond;
use super::{actions, edit, list};
use crate::auth;
use crate::context::Authenticated;
use crate::db::key::Key;
use crate::response::Response;

/// The form is as it was sent, where that came to nothing. `once` names the forms that make a key.
pub fn show(user: &Authenticated<'_>, key: &Key, form: &EditForm<'_>, once: &str) -> Response {
    let texts = user.context.texts;
    let body = html! {
        @if let Some(notice) = user.session.take_notice() {
            div .notice .good role="status" { p { (texts.notice(notice)) } }
        }
        @if form.theirs.is_some() {
            div .notice .bad role="alert" { p { (texts.changed_meanwhile) } }
        }
        (facts(user, key))
        @if user.permissions.events() {
            p { a href={ "/keys/" (key.prefix) "/events" } { (texts.trail_of_key) } }
        }
        @if user.permissions.edit() { (edit::form(user, key, form, once)) }
        (actions::forms(user, key, once))
    };
    let status = match (form.theirs, form.mistakes) {
        (Some(_), _) => StatusCode::CONFLICT,
        (None, []) => StatusCode::OK,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    };
    let title = (texts.key_named)(&key.name);
    respond(user.context, status, &title, &body)
}

fn facts(user: &Authenticated<'_>, key: &Key) -> Markup {
    let texts = user.context.texts;
    let fact = |label: &str, value: Markup| html! { div { dt { (label) } dd { (value) } } };
    let or_never = |at: &Option<String>| html! { @match at { Some(at) => time { (at) }, None => (texts.never) } };
    html! {
        dl .facts {
            (fact(texts.status, list::badge(texts, &key.status)))
            (fact(texts.prefix, html! { code { (key.prefix) } }))
            (fact(texts.owner, html! { (key.owner) }))
            @if !key.tenant.is_empty() { (fact(texts.tenant, html! { (key.tenant) })) }
            (fact(texts.auth, html! { (auth::granted(&key.auth).join(", ")) }))
            (fact(texts.ips, html! {
                @if key.ips.is_empty() { (texts.anywhere) } @else { code { (key.ips.join(", ")) } }
            }))
            (fact(texts.created, html! { time { (key.created_at) } " " (texts.by) " " (key.created_by) }))
            (fact(texts.expires_at, or_never(&key.expires_at)))
            (fact(texts.last_used, html! {
                (or_never(&key.last_used_at))
                @if let Some(ip) = &key.last_used_ip { " " (texts.from) " " code { (ip) } }
            }))
            (fact(texts.accepted, html! { (key.accepted) }))
            (fact(texts.refused, html! { (key.refused) }))
            @if key.metadata != "{}" { (fact(texts.metadata, html! { code { (key.metadata) } })) }
            @if let Some(at) = &key.disabled_at { (fact(texts.disabled, html! { time { (at) } })) }
            @if let Some(at) = &key.revoked_at {
                (fact(texts.revoked, html! {
                    time { (at) }
                    @if let Some(by) = &key.revoked_by { " " (texts.by) " " (by) }
                    @if let Some(reason) = &key.revoke_reason { ": " (reason) }
                }))
            }
            @if let Some(next) = &key.replaced_by {
                (fact(texts.replaced_by, html! { a href={ "/keys/" (next) } { code { (next) } } }))
            }
        }
    }
}
