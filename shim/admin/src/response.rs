//! Answers: pages, redirects and some files. All have the same headers.

use bytes::Bytes;
use http_body_util::Full;
use hyper::StatusCode;
use hyper::header::{self, HeaderName, HeaderValue};
use maud::{Markup, html};

pub type Response = hyper::Response<Full<Bytes>>;

/// Nothing from elsewhere, no script in a page, no frame around it; forms are sent here alone.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; \
                      form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

const COMMON: [(HeaderName, &str); 6] = [
    (header::CACHE_CONTROL, "no-store"),
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];

const STYLE: &str = include_str!("assets/style.css");
const COPY: &str = include_str!("assets/copy.js");
const AGAIN: &str = include_str!("assets/again.js");
const ADDRESSES: &str = include_str!("assets/addresses.js");

pub fn page(status: StatusCode, markup: Markup) -> Response {
    let mut response = content("text/html; charset=utf-8", markup.into_string());
    *response.status_mut() = status;
    response
}

/// A page in nobody's language, for requests that nobody could read.
pub fn bare(status: StatusCode) -> Response {
    page(status, html! { p { (status.canonical_reason().unwrap_or_default()) } })
}

/// 303: the browser asks for that page with GET, and a reload does nothing again.
pub fn see_other(location: &str) -> Response {
    let mut response = content("text/plain; charset=utf-8", "");
    *response.status_mut() = StatusCode::SEE_OTHER;
    if let Ok(location) = HeaderValue::from_str(location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

pub fn with_cookie(mut response: Response, cookie: &str) -> Response {
    if let Ok(cookie) = HeaderValue::from_str(cookie) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

pub fn asset(path: &str) -> Option<Response> {
    match path {
        "/assets/style.css" => Some(content("text/css; charset=utf-8", STYLE)),
        "/assets/copy.js" => Some(content("text/javascript; charset=utf-8", COPY)),
        "/assets/again.js" => Some(content("text/javascript; charset=utf-8", AGAIN)),
        "/assets/addresses.js" => Some(content("text/javascript; charset=utf-8", ADDRESSES)),
        _ => None,
    }
}

fn content(kind: &'static str, body: impl Into<Bytes>) -> Response {
    let mut response = hyper::Response::new(Full::new(body.into()));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    for (name, value) in COMMON {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
