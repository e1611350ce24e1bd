//! The name of one request, under which the proxy's log and ours are found together:
//! `X-Request-Id`.

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};

pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// In bytes. What proxies make has 20 to 70.
const LONGEST: usize = 128;

/// Letters, digits and `-_:+/=~`, which says what UUIDs, hexadecimal, base64 and HAProxy's format
/// need. No full stop: a key has one, and what stands here is logged.
#[derive(Clone, Debug)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// The one that the request came with, if it is a good one and the only one; else a new one.
    pub fn of(headers: &HeaderMap) -> Self {
        let mut values = headers.get_all(X_REQUEST_ID).iter();
        match (values.next(), values.next()) {
            (Some(value), None) if is_good(value.as_bytes()) => Self(value.clone()),
            _ => Self::random(),
        }
    }

    /// 128 random bits. Nothing depends on whether they can be guessed.
    fn random() -> Self {
        let text = format!("{:032x}", fastrand::u128(..));
        Self(HeaderValue::from_maybe_shared(bytes::Bytes::from(text)).unwrap_or(UNNAMED))
    }

    pub fn header(&self) -> HeaderValue {
        self.0.clone()
    }

    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }
}

const UNNAMED: HeaderValue = HeaderValue::from_static("0");

fn is_good(id: &[u8]) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_:+/=~".contains(byte);
    (1..=LONGEST).contains(&id.len()) && id.iter().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[&[u8]]) -> String {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(X_REQUEST_ID, HeaderValue::from_bytes(value).unwrap());
        }
        RequestId::of(&headers).as_str().to_owned()
    }

    #[test]
    fn a_good_one_is_kept() {
        for id in [
            "7",
            "f3c1a9de00b14c7e9f0b6f5a2f4f9c11",
            "6f0b3c3e-6f0e-4b52-9d0c-3a1f6f6f3a11",
            "JKJaXmPLvHcESHA=",
            "7F000001:8B0E_7F000001:1F90_65A1B2C3:0007",
            &"x".repeat(LONGEST),
        ] {
            assert_eq!(of(&[id.as_bytes()]), id);
        }
    }

    #[test]
    fn any_other_is_replaced() {
        let long = "x".repeat(LONGEST + 1);
        let key = b"Map0K71T.rcs82Q66NuCUCuyTmnjVhmwhfl0VnOsW";
        let unusable: [&[&[u8]]; 9] = [
            &[],
            &[b""],
            &[b"a b"],
            &[b"a\tb"],
            &[b"a\"b"],
            &[b"\xc3\xa9"],
            &[key.as_slice()],
            &[long.as_bytes()],
            &[b"a", b"a"],
        ];
        for values in unusable {
            let id = of(values);
            assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
        }
        assert_ne!(of(&[]), of(&[]));
    }
}
