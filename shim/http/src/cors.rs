//! Cross-origin requests from browsers (WHATWG Fetch, CORS protocol), for configured origins only.

use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request};
use url::Url;

use crate::response::Response;

#[derive(Clone, Debug)]
pub struct Cors {
    /// In the form in which browsers send them, so that comparing bytes is enough.
    origins: Vec<HeaderValue>,
    /// The names of headers that a page may send, as a list.
    allowed_headers: HeaderValue,
}

/// In seconds. Browsers cut it at 7200 (Chromium) or 86400 (Firefox).
const PREFLIGHT_MAX_AGE: HeaderValue = HeaderValue::from_static("600");

impl Cors {
    pub const fn new(origins: Vec<HeaderValue>, allowed_headers: HeaderValue) -> Self {
        Self { origins, allowed_headers }
    }

    pub fn origins<'a>(origins: impl Iterator<Item = &'a str>) -> Result<Vec<HeaderValue>, String> {
        origins.map(origin).collect()
    }

    /// The list of the headers that pages may send.
    pub fn allowed_headers<'a>(
        names: impl Iterator<Item = &'a str>,
    ) -> Result<HeaderValue, String> {
        let names = names.map(header_name).collect::<Result<Vec<_>, _>>()?;
        HeaderValue::try_from(names.join(", ")).map_err(|error| error.to_string())
    }

    /// A pre-flight names the method that will follow; any other OPTIONS is just a method that
    /// we do not have.
    pub fn is_preflight<B>(request: &Request<B>) -> bool {
        request.method() == Method::OPTIONS
            && request.headers().contains_key(header::ORIGIN)
            && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
    }

    /// The request's origin, if it is one of the configured ones.
    pub fn allowed(&self, headers: &HeaderMap) -> Option<&HeaderValue> {
        let origin = headers.get(header::ORIGIN)?;
        self.origins.iter().find(|known| *known == origin)
    }

    /// Marks a response, an error too: a script that may not read a 401 sees a network failure.
    pub fn mark(&self, origin: Option<&HeaderValue>, preflight: bool, response: &mut Response) {
        if self.origins.is_empty() {
            return;
        }
        let headers = response.headers_mut();
        headers.insert(header::VARY, HeaderValue::from_static("Origin"));
        let Some(origin) = origin else {
            return;
        };
        let mut set = |name: HeaderName, value: HeaderValue| headers.insert(name, value);
        set(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        set(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        if preflight {
            // With credentials, `*` would mean a header of that name: all are listed.
            set(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, HEAD"));
            set(header::ACCESS_CONTROL_ALLOW_HEADERS, self.allowed_headers.clone());
            set(header::ACCESS_CONTROL_MAX_AGE, PREFLIGHT_MAX_AGE);
        } else {
            set(
                header::ACCESS_CONTROL_EXPOSE_HEADERS,
                HeaderValue::from_static("WWW-Authenticate, Retry-After, X-Request-Id"),
            );
        }
    }
}

/// A token (RFC 9110, 5.6.2). `*` is one, and means any header only to browsers that send no
/// credentials.
fn header_name(text: &str) -> Result<&str, String> {
    let is_name = text != "*" && HeaderName::try_from(text).is_ok();
    is_name.then_some(text).ok_or_else(|| {
        format!("\"{text}\" is not the name of a header such as traceparent (no \"*\": name each)")
    })
}

/// `scheme://host[:port]`, brought into a browser's spelling (lower case, no default port).
fn origin(text: &str) -> Result<HeaderValue, String> {
    let refused = || {
        format!(
            "\"{text}\" is not an origin such as https://shop.example or http://localhost:3000 \
             (no path, no \"*\", not \"null\")"
        )
    };
    let rest = text.split_once("://").ok_or_else(refused)?.1;
    if rest.is_empty() || rest.contains(['/', '\\', '?', '#', '@', '*', ' ']) {
        return Err(refused());
    }
    let url = Url::parse(text).map_err(|_| refused())?;
    let host = url.host_str().filter(|host| !host.is_empty());
    let host = host.ok_or_else(refused)?.to_ascii_lowercase();
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    HeaderValue::try_from(format!("{}://{host}{port}", url.scheme())).map_err(|_| refused())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::response::no_body;

    #[test]
    fn origins_take_the_spelling_of_browsers() {
        for (text, expected) in [
            ("https://shop.example", "https://shop.example"),
            ("HTTPS://Shop.Example:443", "https://shop.example"),
            ("http://localhost:3000", "http://localhost:3000"),
            ("http://[::1]:8000", "http://[::1]:8000"),
            ("https://caf\u{e9}.example", "https://xn--caf-dma.example"),
            ("capacitor://localhost", "capacitor://localhost"),
        ] {
            assert_eq!(origin(text).unwrap(), expected);
        }
    }

    #[test]
    fn what_is_no_origin_is_refused() {
        for text in [
            "",
            "*",
            "null",
            "https://",
            "shop.example",
            "https://*",
            "https://*.shop.example",
            "https://shop.example/",
            "https://shop.example/path",
            "https://user@shop.example",
            "https://shop.example:port",
            "file:///tmp",
        ] {
            assert!(origin(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_no_name_of_a_header_is_refused() {
        for text in ["*", "", "x y", "x:", "x\r\ny", "caf\u{e9}", "(x)", "\"x\""] {
            assert!(header_name(text).is_err(), "{text:?}");
        }
        let names = ["traceparent", "Sentry-Trace"].into_iter();
        let allowed = Cors::allowed_headers(names).unwrap();
        assert_eq!(allowed, "traceparent, Sentry-Trace");
    }

    fn marked(configured: &[&str], origin: Option<&str>, preflight: bool) -> HeaderMap {
        let origins = Cors::origins(configured.iter().copied()).unwrap();
        let cors = Cors::new(origins, Cors::allowed_headers([].into_iter()).unwrap());
        let mut request = HeaderMap::new();
        if let Some(origin) = origin {
            request.insert(header::ORIGIN, origin.parse().unwrap());
        }
        let mut response = no_body();
        cors.mark(cors.allowed(&request), preflight, &mut response);
        response.headers().clone()
    }

    #[test]
    fn only_configured_origins_are_named() {
        let ours = "https://shop.example";
        let headers = marked(&[ours], Some(ours), false);
        assert_eq!(headers[header::ACCESS_CONTROL_ALLOW_ORIGIN], ours);
        assert_eq!(headers[header::ACCESS_CONTROL_ALLOW_CREDENTIALS], "true");
        assert_eq!(headers[header::VARY], "Origin");

        for other in [None, Some("null"), Some("https://shop.example.evil")] {
            let headers = marked(&[ours], other, true);
            assert_eq!(headers[header::VARY], "Origin");
            assert!(!headers.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN));
            assert!(!headers.contains_key(header::ACCESS_CONTROL_ALLOW_METHODS));
        }
        assert!(!marked(&[], Some(ours), false).contains_key(header::VARY));
    }
}
