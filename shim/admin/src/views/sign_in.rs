//! The form to sign in, and why it is shown again.

use hyper::StatusCode;
use maud::{Markup, html};

use super::layout::respond;
use super::problem::advice;
use crate::context::RequestContext;
use crate::link;
use crate::response::Response;

/// Why a session is none any more.
#[derive(Clone, Copy)]
pub enum Ended {
    Over,
    /// Postgres did not let the role in again.
    Refused,
    /// There is nothing any more that the role may do.
    WithoutRights,
}

impl Ended {
    const ALL: [Self; 3] = [Self::Over, Self::Refused, Self::WithoutRights];

    /// How an address says it.
    pub fn code(self) -> &'static str {
        match self {
            Self::Over => "1",
            Self::Refused => "refused",
            Self::WithoutRights => "rights",
        }
    }
}

/// The form, as it is opened.
pub fn form(context: &RequestContext) -> Response {
    let (texts, query) = (context.texts, &context.request.query);
    let ended = Ended::ALL.into_iter().find(|ended| ended.code() == query.get("ended"));
    let why = ended.and_then(|ended| match ended {
        Ended::Over => None,
        Ended::Refused => Some(texts.session_refused),
        Ended::WithoutRights => Some(texts.no_rights),
    });
    let said = ended
        .map(|_| html! { @if let Some(why) = why { p { (why) } } p { (texts.session_ended) } });
    show(context, StatusCode::OK, said, query.get("back"))
}

/// The form again, with what came of it.
pub fn refused(
    context: &RequestContext,
    status: StatusCode,
    sentence: &str,
    back: &str,
) -> Response {
    show(context, status, Some(html! { p { (sentence) } }), back)
}

/// The form again, for a role that would find nothing here to do.
pub fn without_permissions(context: &RequestContext, remedy: Option<&str>, back: &str) -> Response {
    let texts = context.texts;
    let said = html! { p { (texts.no_rights) } (advice(texts, remedy)) };
    show(context, StatusCode::FORBIDDEN, Some(said), back)
}

fn show(
    context: &RequestContext,
    status: StatusCode,
    said: Option<Markup>,
    back: &str,
) -> Response {
    let texts = context.texts;
    let request = &context.request;
    let role = request.form.get("role");
    let body = html! {
        @if let Some(said) = said {
            div .notice .bad role="alert" { (said) }
        }
        p { (texts.sign_in_how) }
        form .card method="post" action="/sign-in" {
            input type="hidden" name="csrf" value=[request.sign_in.as_deref()];
            input type="hidden" name="back" value=(link::back(back));
            div .field {
                label for="role" { (texts.role) }
                input #role name="role" value=(role) required autocomplete="username"
                    autocapitalize="none" spellcheck="false" autofocus[role.is_empty()];
            }
            div .field {
                label for="password" { (texts.password) }
                input #password type="password" name="password" required
                    autocomplete="current-password" autofocus[!role.is_empty()];
            }
            button .main type="submit" { (texts.sign_in) }
        }
    };
    respond(context, status, texts.sign_in, &body)
}
