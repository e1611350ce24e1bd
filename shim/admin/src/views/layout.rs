//! What all pages have around them.

use hyper::StatusCode;
use maud::{DOCTYPE, Markup, html};

use crate::context::RequestContext;
use crate::lang::Language;
use crate::response::{Response, page};

/// A page as an answer.
pub fn respond(
    context: &RequestContext,
    status: StatusCode,
    title: &str,
    body: &Markup,
) -> Response {
    page(status, document(context, title, body))
}

fn document(context: &RequestContext, title: &str, body: &Markup) -> Markup {
    let texts = context.texts;
    html! {
        (DOCTYPE)
        html lang=(context.request.language.code()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · " (texts.product) }
                link rel="stylesheet" href="/assets/style.css";
                // An empty icon, so that browsers do not ask for one.
                link rel="icon" href="data:,";
                script src="/assets/copy.js" defer {}
                script src="/assets/again.js" defer {}
                script src="/assets/addresses.js" defer {}
            }
            body {
                a .skip href="#main" { (texts.skip) }
                header .top {
                    p .product { (texts.product) }
                    (menu(context))
                    div .tools {
                        (languages(context))
                        (sign_out(context))
                    }
                }
                main #main tabindex="-1" {
                    h1 { (title) }
                    (body)
                }
                footer {
                    @if let Some(permissions) = &context.permissions {
                        p { (texts.zone) " " (permissions.zone) "." }
                    }
                }
            }
        }
    }
}

/// What the role may look at.
fn menu(context: &RequestContext) -> Markup {
    let texts = context.texts;
    let Some(permissions) = &context.permissions else { return html! {} };
    let path = context.request.path.as_str();
    let entry = |href: &str, text: &str, is_here: bool| {
        html! { li { a href=(href) aria-current=[is_here.then_some("page")] { (text) } } }
    };
    html! {
        nav aria-label=(texts.menu) {
            ul {
                (entry("/keys", texts.menu_keys, path.starts_with("/keys")))
                @if permissions.events() {
                    (entry("/events", texts.menu_events, path == "/events"))
                }
                @if permissions.check() || permissions.explain() {
                    (entry("/test", texts.menu_test, path == "/test"))
                }
            }
        }
    }
}

/// The choice of a language is not offered beside a new key, which would be gone.
fn languages(context: &RequestContext) -> Markup {
    let Some(csrf) = csrf(context).filter(|_| !context.shows_new_key()) else { return html! {} };
    html! {
        form .languages method="post" action="/language" {
            input type="hidden" name="csrf" value=(csrf);
            input type="hidden" name="back" value=(context.request.here());
            @for language in Language::ALL {
                @let is_chosen = language == context.request.language;
                button .plain name="lang" value=(language.code()) lang=(language.code())
                    aria-pressed=(is_chosen) { (language.name()) }
            }
        }
    }
}

fn sign_out(context: &RequestContext) -> Markup {
    let texts = context.texts;
    let Some(session) = &context.session else { return html! {} };
    html! {
        form method="post" action="/sign-out" {
            input type="hidden" name="csrf" value=(session.csrf);
            span .role { (texts.signed_in_as) " " strong { (session.role) } }
            button .plain type="submit" { (texts.sign_out) }
        }
    }
}

/// What forms bring along: of the session, or of whoever is about to sign in.
fn csrf(context: &RequestContext) -> Option<&str> {
    match &context.session {
        Some(session) => Some(&session.csrf),
        None => context.request.sign_in.as_deref(),
    }
}
