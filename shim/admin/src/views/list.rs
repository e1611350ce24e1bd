//! The list of keys.

use hyper::StatusCode;
use maud::{Markup, html};

use super::layout::respond;
use super::problem::advice;
use crate::auth;
use crate::context::Authenticated;
use crate::db::key::Key;
use crate::db::key_list::{self, Page};
use crate::db::scopes::Scope;
use crate::form::Form;
use crate::lang::Texts;
use crate::link::{self, with_query};
use crate::response::Response;

pub fn show(
    user: &Authenticated<'_>,
    page: &Page,
    choices: &[Vec<String>; 2],
    known: &[Scope],
) -> Response {
    let (texts, query) = (user.context.texts, &user.context.request.query);
    let body = html! {
        @if user.permissions.create() { (add_button(texts)) }
        (filters(texts, query, choices, known))
        p role="status" { (if_filtered(texts, query, page)) }
        @if !page.keys.is_empty() {
            (table(texts, query, &page.keys))
            (paging(texts, query, page))
        }
    };
    respond(user.context, StatusCode::OK, texts.menu_keys, &body)
}

/// The page for a role that may not see keys, though perhaps make them.
pub fn hidden(user: &Authenticated<'_>, remedy: Option<&str>) -> Response {
    let texts = user.context.texts;
    let body = html! {
        div .notice .bad role="status" {
            p { (texts.may_not_list) }
            (advice(texts, remedy))
        }
        @if user.permissions.create() { (add_button(texts)) }
    };
    respond(user.context, StatusCode::FORBIDDEN, texts.menu_keys, &body)
}

fn add_button(texts: &Texts) -> Markup {
    html! { p .actions { a .button .main href="/keys/new" { (texts.add_key) } } }
}

fn if_filtered(texts: &Texts, query: &Form, page: &Page) -> String {
    let filtered =
        ["q", "status", "owner", "tenant", "scope"].iter().any(|name| !query.get(name).is_empty());
    match page.total {
        0 if filtered => texts.no_match.to_owned(),
        0 => texts.no_keys.to_owned(),
        total => (texts.count)(total),
    }
}

fn filters(
    texts: &Texts,
    query: &Form,
    [owners, tenants]: &[Vec<String>; 2],
    known: &[Scope],
) -> Markup {
    let select = |name: &str, label: &str, all: &str, values: &[String]| {
        html! {
            div .field {
                label for=(name) { (label) }
                select id=(name) name=(name) {
                    option value="" { (all) }
                    @for value in values {
                        option value=(value) selected[query.get(name) == value] { (value) }
                    }
                }
            }
        }
    };
    let scopes: Vec<_> = known.iter().map(|scope| scope.name.clone()).collect();
    html! {
        form .filters method="get" action="/keys" role="search" {
            div .field {
                label for="q" { (texts.search) }
                input #q type="search" name="q" value=(query.get("q")) placeholder=(texts.search_in) autocapitalize="none" spellcheck="false";
            }
            div .field {
                label for="status" { (texts.status) }
                select #status name="status" {
                    option value="" { (texts.all) }
                    @for status in key_list::STATUSES {
                        option value=(status) selected[query.get("status") == status] {
                            (texts.status_of(status))
                        }
                    }
                }
            }
            (select("owner", texts.owner, texts.all, owners))
            @if !tenants.is_empty() { (select("tenant", texts.tenant, texts.all, tenants)) }
            @if scopes.is_empty() {
                div .field {
                    label for="scope" { (texts.auth) }
                    input #scope name="scope" value=(query.get("scope")) autocapitalize="none" spellcheck="false";
                }
            } @else {
                (select("scope", texts.auth, texts.all, &scopes))
            }
            @if !query.get("sort").is_empty() {
                input type="hidden" name="sort" value=(query.get("sort"));
            }
            div .actions {
                button type="submit" { (texts.filter) }
                a href="/keys" { (texts.reset) }
            }
        }
    }
}

fn table(texts: &Texts, query: &Form, list: &[Key]) -> Markup {
    html! {
        div .wide tabindex="0" role="region" aria-label=(texts.menu_keys) {
            table {
                thead { tr {
                    (heading(query, "name", texts.name))
                    (heading(query, "status", texts.status))
                    th scope="col" { (texts.auth) }
                    (heading(query, "owner", texts.owner))
                    (heading(query, "expires_at", texts.expires_at))
                    (heading(query, "last_used_at", texts.last_used))
                } }
                tbody {
                    @for key in list { (row(texts, key)) }
                }
            }
        }
    }
}

/// A link that sorts by this column, or the other way round where it is sorted by it.
fn heading(query: &Form, column: &str, text: &str) -> Markup {
    let (sorted, descending) = key_list::sorted_by(query.get("sort"));
    let is_sorted = sorted == column;
    let next = if is_sorted && !descending { format!("-{column}") } else { column.to_owned() };
    let first = Form::parse(query.query_with("page", "").as_bytes());
    let href = with_query("/keys", &first.query_with("sort", &next));
    let direction = is_sorted.then_some(if descending { "descending" } else { "ascending" });
    html! {
        th scope="col" aria-sort=[direction] {
            a href=(href) { (text) @if is_sorted {
                span aria-hidden="true" { (if descending { " ↓" } else { " ↑" }) }
            } }
        }
    }
}

fn row(texts: &Texts, key: &Key) -> Markup {
    html! {
        tr {
            th scope="row" { a href=(link::key(&key.prefix)) { (key.name) } " " code { (key.prefix) } }
            td { (badge(texts, &key.status)) }
            td { (auth::granted(&key.auth).join(", ")) }
            td { (key.owner) @if !key.tenant.is_empty() { " · " (key.tenant) } }
            td { @match &key.expires_at { Some(at) => time { (at) }, None => (texts.never) } }
            td {
                @match &key.last_used_at {
                    Some(at) => { time { (at) } @if let Some(ip) = &key.last_used_ip { " " (texts.from) " " code { (ip) } } },
                    None => (texts.never),
                }
            }
        }
    }
}

pub fn badge(texts: &Texts, status: &str) -> Markup {
    html! { span class={ "badge " (status) } { (texts.status_of(status)) } }
}

fn paging(texts: &Texts, query: &Form, page: &Page) -> Markup {
    let to = |number: i64| with_query("/keys", &query.query_with("page", &number.to_string()));
    let last = page.last();
    html! {
        @if last > 1 {
            nav .paging aria-label=(texts.pages) {
                @if page.number > 1 { a href=(to(page.number - 1)) rel="prev" { (texts.previous) } }
                span { ((texts.page_of)(page.number, last)) }
                @if page.number < last { a href=(to(page.number + 1)) rel="next" { (texts.next) } }
            }
        }
    }
}
