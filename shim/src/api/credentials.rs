//! Where a request may carry its key: `Authorization: Api-Key KEY`, `Authorization: Bearer KEY` or
//! `X-Api-Key: KEY`; or one header that a setting names. Anything else, and anything ambiguous, is
//! no key.

use apikey_format::Key;
use hyper::HeaderMap;
use hyper::header::{self, HeaderName, HeaderValue};

const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// In bytes. A key that was made here has 41, one that moved in from Django up to 137.
const LONGEST_KEY: usize = 256;

/// In a log. Of a text with less behind its full stop, what is before that may be what somebody
/// keeps secret.
const SHORTEST_LOGGED: usize = 16;

/// Headers that mean something else, to HTTP or to this shim; `x-forwarded-…`, `x-apikey-…` and the
/// like as well.
const TAKEN: [&str; 10] = [
    "connection",
    "content-length",
    "expect",
    "forwarded",
    "host",
    "origin",
    "te",
    "transfer-encoding",
    "upgrade",
    "x-request-id",
];
const TAKEN_BEGINNINGS: [&str; 3] = ["access-control-", "x-apikey-", "x-forwarded-"];

/// The header with the key, where a setting names one. `Authorization` is then somebody else's.
#[derive(Debug, Default)]
pub struct KeyHeader(Option<HeaderName>);

impl KeyHeader {
    /// An empty name is no setting.
    pub fn parse(name: &str) -> Result<Self, String> {
        if name.is_empty() {
            return Ok(Self(None));
        }
        if name.contains('_') {
            return Err("proxies drop a header with \"_\" in its name. What Django calls \
                        HTTP_X_API_KEY is X-Api-Key"
                .into());
        }
        let header = HeaderName::try_from(name).map_err(|_| format!("\"{name}\" is no name"))?;
        if header == header::AUTHORIZATION {
            return Err("Authorization is read where this is not set".into());
        }
        let lower = header.as_str();
        if TAKEN.contains(&lower) || TAKEN_BEGINNINGS.iter().any(|taken| lower.starts_with(taken)) {
            return Err(format!("{name} means something else"));
        }
        Ok(Self(Some(header)))
    }

    pub fn name(&self) -> Option<&HeaderName> {
        self.0.as_ref()
    }

    /// `X-Api-Key` counts only without an `Authorization` header: two answers to "who are you?" in
    /// one request must not be settled by guessing.
    pub fn key<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        match &self.0 {
            Some(name) => bare(headers, name),
            None if headers.contains_key(header::AUTHORIZATION) => {
                authorization(single(headers, &header::AUTHORIZATION)?)
            }
            None => bare(headers, &X_API_KEY),
        }
    }
}

/// A key without a scheme, as the Django package takes it from a header of its own.
fn bare<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    well_formed(single(headers, name)?.to_str().ok()?)
}

/// RFC 9110, 11.4 allows several spaces after the scheme; exactly one is taken, as the Django
/// package does.
fn authorization(value: &HeaderValue) -> Option<&str> {
    let (scheme, key) = value.to_str().ok()?.split_once(' ')?;
    let known = ["Api-Key", "Bearer"].iter().any(|known| known.eq_ignore_ascii_case(scheme));
    if known { well_formed(key) } else { None }
}

/// Visible ASCII without spaces, so that whatever reaches SQL is short, printable text.
fn well_formed(key: &str) -> Option<&str> {
    let plausible = !key.is_empty()
        && key.len() <= LONGEST_KEY
        && key.bytes().all(|byte| byte.is_ascii_graphic());
    plausible.then_some(key)
}

/// The public half, for a log, of a text that looks like a key. Of any other text nobody knows what
/// is secret.
pub fn prefix(key: &str) -> Option<&str> {
    let (prefix, secret) = Key::parse(key)?.halves();
    (secret.len() >= SHORTEST_LOGGED).then_some(prefix)
}

fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => Some(value),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key_of(lines: &[(&'static str, &str)]) -> Option<String> {
        key_in("", lines)
    }

    fn key_in(header: &str, lines: &[(&'static str, &str)]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        KeyHeader::parse(header).unwrap().key(&headers).map(str::to_owned)
    }

    #[test]
    fn three_forms_are_taken() {
        for (name, value) in [
            ("authorization", "Api-Key A.b"),
            ("authorization", "api-key A.b"),
            ("authorization", "API-KEY A.b"),
            ("authorization", "Bearer A.b"),
            ("authorization", "bEARER A.b"),
            ("x-api-key", "A.b"),
        ] {
            assert_eq!(key_of(&[(name, value)]).as_deref(), Some("A.b"), "{value}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for value in [
            "",
            "Api-Key",
            "Api-Key:A.b",
            "Api-Key  A.b",
            "Api-Key\tA.b",
            "Api-Key A.b c",
            "Api-Key A.b, Api-Key A.b",
            "Api-Key A.\u{e9}",
            "Basic QTpi",
            "Token A.b",
            "A.b",
        ] {
            assert_eq!(key_of(&[("authorization", value)]), None, "{value:?}");
        }
        assert_eq!(key_of(&[]), None);
        assert_eq!(key_of(&[("x-api-key", "")]), None);
        assert_eq!(key_of(&[("x-api-key", "A.b c")]), None);
    }

    #[test]
    fn ambiguous_requests_are_refused() {
        let good = ("authorization", "Api-Key A.b");
        assert_eq!(key_of(&[good, good]), None);
        assert_eq!(key_of(&[("x-api-key", "A.b"), ("x-api-key", "A.b")]), None);
        assert_eq!(key_of(&[("authorization", "Basic QTpi"), ("x-api-key", "A.b")]), None);
        assert_eq!(key_of(&[good, ("x-api-key", "C.d")]).as_deref(), Some("A.b"));
    }

    #[test]
    fn a_header_that_is_named_is_the_only_one() {
        let jwt = ("authorization", "Bearer of.a.jwt");
        for (header, line) in
            [("Api-Key", "api-key"), ("apikey", "apikey"), ("X-Api-Key", "x-api-key")]
        {
            assert_eq!(key_in(header, &[(line, "A.b"), jwt]).as_deref(), Some("A.b"));
            assert_eq!(key_in(header, &[("authorization", "Api-Key A.b")]), None);
            assert_eq!(key_in(header, &[(line, "A.b"), (line, "A.b")]), None);
            for other in ["Api-Key A.b", "Bearer A.b", ""] {
                assert_eq!(key_in(header, &[(line, other)]), None, "{other}");
            }
        }
        assert_eq!(key_in("Api-Key", &[("x-api-key", "A.b")]), None);
    }

    #[test]
    fn what_means_something_else_is_not_named() {
        for name in [
            "Authorization",
            "HTTP_X_API_KEY",
            "X_Api_Key",
            "Host",
            "X-Request-Id",
            "X-Forwarded-For",
            "X-Apikey-Scope",
            "Api Key",
            "Api-Key:",
            "cl\u{e9}",
        ] {
            assert!(KeyHeader::parse(name).is_err(), "{name}");
        }
        assert_eq!(KeyHeader::parse("").unwrap().name(), None);
    }

    #[test]
    fn the_log_has_the_prefix_of_what_is_like_a_key() {
        let key = "Map0K71T.rcs82Q66NuCUCuyTmnjVhmwhfl0VnOsW";
        assert_eq!(prefix(key), Some("Map0K71T"));
        assert_eq!(prefix("Ab1.Zm9v-YmFy_Zm9v-YmFy_"), Some("Ab1"));
        for other in [
            "",
            "Map0K71T",
            "Map0K71T.",
            "my.password",
            &key[..24],
            &key.replace('.', "-"),
            &key.replace("Map", "M+p"),
            &format!("{}.{}", &key[9..], &key[..8]),
        ] {
            assert_eq!(prefix(other), None, "{other}");
        }
    }

    #[test]
    fn length_is_bounded() {
        let longest = "k".repeat(LONGEST_KEY);
        assert_eq!(key_of(&[("x-api-key", &longest)]), Some(longest.clone()));
        assert_eq!(key_of(&[("x-api-key", &format!("{longest}k"))]), None);
    }
}
