//! The audit trail: of a key, and of all.

use hyper::StatusCode;
use maud::{Markup, html};
use serde_json::Value;

use super::layout::respond;
use crate::context::Authenticated;
use crate::db::events::{Event, Page};
use crate::lang::Texts;
use crate::link;
use crate::response::Response;

/// The trail is of all keys where there is no prefix.
pub fn show(user: &Authenticated<'_>, prefix: Option<&str>, page: &Page) -> Response {
    let texts = user.context.texts;
    let title = match prefix {
        Some(prefix) => &format!("{} {prefix}", texts.trail_of),
        None => texts.menu_events,
    };
    let Page { events, number, more } = page;
    let to = |number: i64| format!("{}?page={number}", user.context.request.path);
    let body = html! {
        @if let Some(prefix) = prefix.filter(|_| user.permissions.list()) {
            p { a href=(link::key(prefix)) { (texts.to_the_key) } }
        }
        @if events.is_empty() { p { (texts.no_events) } } @else {
            div .wide tabindex="0" role="region" aria-label=(title) {
                table {
                    thead { tr {
                        @for heading in [texts.when, texts.action, texts.prefix, texts.who, texts.changed] {
                            th scope="col" { (heading) }
                        }
                    } }
                    tbody { @for event in events { (row(texts, event)) } }
                }
            }
        }
        @if *number > 1 || *more {
            nav .paging aria-label=(texts.pages) {
                @if *number > 1 { a href=(to(number - 1)) rel="prev" { (texts.previous) } }
                @if *more { a href=(to(number + 1)) rel="next" { (texts.next) } }
            }
        }
    };
    respond(user.context, StatusCode::OK, title, &body)
}

fn row(texts: &Texts, event: &Event) -> Markup {
    html! {
        tr {
            td { time { (event.at) } }
            td { (texts.action_of(&event.action)) }
            td { a href={ "/keys/" (event.prefix) "/events" } { code { (event.prefix) } } }
            td {
                (event.session_role)
                @if event.acting_role != event.session_role { " (" (event.acting_role) ")" }
                @if let Some(address) = &event.client_address { " · " code { (address) } }
                @if let Some(name) = &event.application_name {
                    @if !name.is_empty() { " · " (name) }
                }
            }
            td { (changed(texts, &event.changed)) }
        }
    }
}

/// `{column: {from, to}}`, or a whole row.
fn changed(texts: &Texts, changed: &Value) -> Markup {
    let Value::Object(columns) = changed else { return plain(texts, changed) };
    html! {
        // Few are seen at once; a whole row is folded.
        details open[columns.len() <= 3] {
            summary { ((texts.columns)(columns.len())) }
            dl .changes {
                @for (column, value) in columns {
                    div {
                        dt { code { (column) } }
                        dd {
                            @match (value.get("from"), value.get("to")) {
                                (Some(from), Some(to)) => {
                                    (plain(texts, from)) " → " (plain(texts, to))
                                }
                                _ => (plain(texts, value)),
                            }
                        }
                    }
                }
            }
        }
    }
}

fn plain(texts: &Texts, value: &Value) -> Markup {
    match value {
        Value::Null => html! { em { (texts.nothing) } },
        Value::String(text) => html! { (text) },
        value => html! { code { (value.to_string()) } },
    }
}
