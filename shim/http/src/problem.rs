//! What a client may read about a failure: problem details (RFC 9457), and nothing else.

use hyper::StatusCode;
use hyper::header::{self, HeaderValue};

use crate::response::{Response, content};

/// A way in which a request can fail. Causes go to the log, never into a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Problem {
    pub status: StatusCode,
    /// A whole sentence, because clients of Django REST framework show it to people. Without a
    /// character that JSON escapes.
    pub detail: &'static str,
}

impl Problem {
    pub const BAD_REQUEST: Self =
        Self::new(StatusCode::BAD_REQUEST, "The request is not well-formed HTTP.");
    pub const NOT_FOUND: Self =
        Self::new(StatusCode::NOT_FOUND, "There is nothing at this address.");
    pub const METHOD_NOT_ALLOWED: Self =
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "This address answers GET and HEAD only.");
    pub const HEAD_TIMEOUT: Self =
        Self::new(StatusCode::REQUEST_TIMEOUT, "The head of the request took too long to arrive.");
    pub const URI_TOO_LONG: Self =
        Self::new(StatusCode::URI_TOO_LONG, "The request line is too long.");
    pub const HEAD_TOO_LARGE: Self = Self::new(
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        "The header of the request is too large.",
    );
    /// There is no room for the client, or the server ends.
    pub const UNAVAILABLE: Self = Self::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "The server cannot take the request at the moment. Try again shortly.",
    );
    #[cfg(test)]
    const ALL: [Self; 7] = [
        Self::BAD_REQUEST,
        Self::NOT_FOUND,
        Self::METHOD_NOT_ALLOWED,
        Self::HEAD_TIMEOUT,
        Self::URI_TOO_LONG,
        Self::HEAD_TOO_LARGE,
        Self::UNAVAILABLE,
    ];

    pub const fn new(status: StatusCode, detail: &'static str) -> Self {
        Self { status, detail }
    }

    pub fn response(self) -> Response {
        let Self { status, detail } = self;
        // By hand, because serde_json took a quarter of all that a refusal cost. Nothing in it
        // needs an escape: the title is from RFC 9110.
        let body = format!(
            r#"{{"type":"about:blank","title":"{}","status":{},"detail":"{detail}"}}"#,
            status.canonical_reason().unwrap_or_default(),
            status.as_u16(),
        );
        let mut response = content("application/problem+json", body);
        *response.status_mut() = status;
        let headers = response.headers_mut();
        match status {
            // RFC 9110, 15.5.6: a 405 must name what is allowed.
            StatusCode::METHOD_NOT_ALLOWED => {
                headers.insert(header::ALLOW, HeaderValue::from_static("GET, HEAD, OPTIONS"));
            }
            // In seconds. A restart of Postgres takes about as long.
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ => {}
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;
    use serde_json::{Value, json};

    #[tokio::test]
    async fn bodies_are_json() {
        for problem in Problem::ALL {
            let body = problem.response().into_body().collect().await.unwrap().to_bytes();
            let expected = json!({
                "type": "about:blank",
                "title": problem.status.canonical_reason(),
                "status": problem.status.as_u16(),
                "detail": problem.detail,
            });
            assert_eq!(serde_json::from_slice::<Value>(&body).unwrap(), expected);
        }
    }
}
