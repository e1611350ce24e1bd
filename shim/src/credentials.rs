//! Where a request may carry its key: `Authorization: Api-Key KEY`, `Authorization: Bearer KEY`
//! or `X-Api-Key: KEY`. Anything else, and anything ambiguous, is no key.

use hyper::HeaderMap;
use hyper::header::{self, HeaderName, HeaderValue};

const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// In bytes. A key has 41; Django's package lets people choose longer ones, up to about 150.
const LONGEST_KEY: usize = 256;

/// `X-Api-Key` counts only without an `Authorization` header: two answers to "who are you?" in
/// one request must not be settled by guessing.
pub fn key(headers: &HeaderMap) -> Option<&str> {
    if headers.contains_key(header::AUTHORIZATION) {
        authorization(single(headers, &header::AUTHORIZATION)?)
    } else {
        well_formed(single(headers, &X_API_KEY)?.to_str().ok()?)
    }
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

/// The public half of a text that has exactly the shape of a key. Of any other text nobody knows what is secret.
pub fn prefix(key: &str) -> Option<&str> {
    let (prefix, secret) = key.split_once('.')?;
    let has = |part: &str, length| {
        part.len() == length && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    (has(prefix, 8) && has(secret, 32)).then_some(prefix)
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
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn key_of(lines: &[(&'static str, &str)]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        key(&headers).map(str::to_owned)
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
    fn only_a_key_has_a_prefix() {
        let key = "Map0K71T.rcs82Q66NuCUCuyTmnjVhmwhfl0VnOsW";
        assert_eq!(prefix(key), Some("Map0K71T"));
        for other in [
            "",
            "Map0K71T",
            "Map0K71T.",
            &key[1..],
            &key[..40],
            &format!("{key}W"),
            &key.replace('.', "-"),
            &key.replace("rcs", "r.s"),
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
