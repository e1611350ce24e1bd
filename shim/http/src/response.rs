//! Responses. No cache may keep one: it is true at the moment.

use bytes::Bytes;
use http_body_util::Full;
use hyper::StatusCode;
use hyper::header::{self, HeaderValue};

pub type Response = hyper::Response<Full<Bytes>>;

/// A 200 with a body.
pub fn content(media_type: &'static str, body: impl Into<Bytes>) -> Response {
    let mut response = empty(body.into());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

/// A 200 whose headers say everything.
pub fn no_body() -> Response {
    empty(Bytes::new())
}

pub fn no_content() -> Response {
    let mut response = no_body();
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

fn empty(body: Bytes) -> Response {
    let mut response = Response::new(Full::new(body));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
