//! What a client may read about a failure: problem details (RFC 9457), and nothing else.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{self, HeaderValue};
use hyper::{Response, StatusCode};

use crate::members::Lack;

pub type Answer = Response<Full<Bytes>>;

/// Every way in which a request can fail. Causes go to the log, never into an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    BadRequest,
    Unauthorized,
    WrongAddress,
    MissingScope,
    NotFound,
    MethodNotAllowed,
    HeadTimeout,
    UriTooLong,
    HeadTooLarge,
    Unavailable,
    /// For whoever asks whether we are ready, which is one of our own people.
    Lacking(Lack),
}

impl Problem {
    /// The one place that decides status and wording. `detail` is a whole sentence, because
    /// clients of Django REST framework show it to people.
    fn meaning(self) -> (StatusCode, &'static str) {
        match self {
            Self::BadRequest => (StatusCode::BAD_REQUEST, "The request is not well-formed HTTP."),
            Self::Unauthorized => {
                (StatusCode::UNAUTHORIZED, "The request carries no valid API key.")
            }
            Self::WrongAddress => {
                (StatusCode::FORBIDDEN, "This API key may not be used from this address.")
            }
            Self::MissingScope => {
                (StatusCode::FORBIDDEN, "This API key does not grant what the request needs.")
            }
            Self::NotFound => (StatusCode::NOT_FOUND, "There is nothing at this address."),
            Self::MethodNotAllowed => {
                (StatusCode::METHOD_NOT_ALLOWED, "This address answers GET and HEAD only.")
            }
            Self::HeadTimeout => {
                (StatusCode::REQUEST_TIMEOUT, "The head of the request took too long to arrive.")
            }
            Self::UriTooLong => (StatusCode::URI_TOO_LONG, "The request line is too long."),
            Self::HeadTooLarge => (
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "The header of the request is too large.",
            ),
            Self::Unavailable => (
                StatusCode::SERVICE_UNAVAILABLE,
                "API keys cannot be checked at the moment. Try again shortly.",
            ),
            Self::Lacking(lack) => (StatusCode::SERVICE_UNAVAILABLE, lack.sentence()),
        }
    }

    pub fn answer(self) -> Answer {
        let (status, detail) = self.meaning();
        // By hand, because serde_json took a quarter of all that a refusal cost. Nothing in it needs an
        // escape: every word is from here or from RFC 9110.
        let body = format!(
            r#"{{"type":"about:blank","title":"{}","status":{},"detail":"{detail}"}}"#,
            status.canonical_reason().unwrap_or_default(),
            status.as_u16(),
        );
        let mut answer = content("application/problem+json", body);
        *answer.status_mut() = status;
        let headers = answer.headers_mut();
        match self {
            // RFC 9110, 15.5.6: a 405 must name what is allowed.
            Self::MethodNotAllowed => {
                headers.insert(header::ALLOW, HeaderValue::from_static("GET, HEAD, OPTIONS"));
            }
            // In seconds. A restart of Postgres takes about as long.
            Self::Unavailable | Self::Lacking(_) => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ => {}
        }
        answer
    }
}

/// A 200 that no cache may keep: a verdict on a key is stale as soon as the key is revoked.
pub fn content(media_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = empty(body.into());
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    answer
}

/// A 200 that says all that it has to say in its header.
pub fn no_body() -> Answer {
    empty(Bytes::new())
}

pub fn no_content() -> Answer {
    let mut answer = no_body();
    *answer.status_mut() = StatusCode::NO_CONTENT;
    answer
}

fn empty(body: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(body));
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use http_body_util::BodyExt;
    use serde_json::{Value, json};

    #[tokio::test]
    async fn bodies_are_json() {
        for problem in [
            Problem::BadRequest,
            Problem::Unauthorized,
            Problem::WrongAddress,
            Problem::MissingScope,
            Problem::NotFound,
            Problem::MethodNotAllowed,
            Problem::HeadTimeout,
            Problem::UriTooLong,
            Problem::HeadTooLarge,
            Problem::Unavailable,
            Problem::Lacking(Lack::Extension),
        ] {
            let (status, detail) = problem.meaning();
            let body = problem.answer().into_body().collect().await.unwrap().to_bytes();
            let expected = json!({
                "type": "about:blank",
                "title": status.canonical_reason(),
                "status": status.as_u16(),
                "detail": detail,
            });
            assert_eq!(serde_json::from_slice::<Value>(&body).unwrap(), expected);
        }
    }
}
