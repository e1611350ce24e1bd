//! A page that says why there is no other.

use hyper::header::{self, HeaderValue};
use hyper::{Method, StatusCode};
use maud::{Markup, html};

use super::layout::respond;
use crate::context::RequestContext;
use crate::error::Error;
use crate::lang::Texts;
use crate::response::Response;

pub fn show(context: &RequestContext, error: Error) -> Response {
    let texts = context.texts;
    let status = error.status();
    let here = context.request.here();
    let again = status == StatusCode::SERVICE_UNAVAILABLE;
    let is_post = context.request.method == Method::POST;
    let role = context.session.as_ref().map(|session| session.role.as_str());
    let body = html! {
        div .notice .bad role="alert" {
            p { (error.sentence(texts)) }
            @if again && is_post { p { (texts.send_again) } }
            @if again && role.is_some() { p { (texts.stay_signed_in) } }
            @if let (Error::NotAllowed, Some(role)) = (error, role) {
                p { (texts.signed_in_as) " " strong { (role) } "." }
                (advice(texts, context.remedy.as_deref()))
            }
            @if let (Error::Misdirected, Some(host)) = (error, &context.request.host) {
                pre { "--admin-host " (host) }
            }
        }
        p {
            @if again && !is_post { a .button href=(here) { (texts.try_again) } }
            @else if error != Error::Misdirected { a href="/keys" { (texts.to_the_list) } }
        }
    };
    let mut response = respond(context, status, texts.problem_title, &body);
    if again {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

/// How an administrator changes it that somebody may not do something.
pub fn advice(texts: &Texts, remedy: Option<&str>) -> Markup {
    html! {
        @match remedy {
            Some(remedy) => { p { (texts.not_inherited) } pre { (remedy) } }
            None => p { (texts.ask_for_rights) }
        }
    }
}
