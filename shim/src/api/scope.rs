//! Which scope a request of `/auth` needs: `?scope=NAME`, `X-Apikey-Scope: NAME`, or any key that
//! is valid.
//!
//! Whoever writes either can only ask for more. Where several are named, all have to be the same
//! one, so that a client who slips in a second one behind the proxy's back is refused.

use apikey_format::is_scope;
use hyper::header::HeaderName;
use hyper::{HeaderMap, Uri};
use url::form_urlencoded;

const X_APIKEY_SCOPE: HeaderName = HeaderName::from_static("x-apikey-scope");

/// No name, and so granted by no key.
const NOBODYS: &str = "";

pub fn wanted(uri: &Uri, headers: &HeaderMap) -> Option<String> {
    let parameters = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes())
        .filter(|(name, _)| name == "scope")
        .map(|(_, value)| value.into_owned());
    let lines = headers.get_all(X_APIKEY_SCOPE).iter();
    let lines = lines.map(|line| line.to_str().unwrap_or(NOBODYS).to_owned());
    let mut named = parameters.chain(lines);
    let first = named.next()?;
    let is_one = is_scope(&first) && named.all(|other| other == first);
    Some(if is_one { first } else { NOBODYS.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    fn scope(target: &str, lines: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(X_APIKEY_SCOPE, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        wanted(&target.parse().unwrap(), &headers)
    }

    #[test]
    fn none_or_one() {
        for target in ["/auth", "/auth?", "/auth?Scope=a", "/auth?x=scope", "/auth?scopes=a"] {
            assert_eq!(scope(target, &[]), None, "{target}");
        }
        for (target, lines) in [
            ("/auth?scope=sale.read", &[][..]),
            ("/auth?a=b&scope=sale.read&c", &[]),
            ("/auth?scope=sale%2Eread", &[]),
            ("/auth?%73cope=sale.read", &[]),
            ("/auth", &["sale.read"]),
            ("/auth?scope=sale.read", &["sale.read"]),
            ("/auth?scope=sale.read&scope=sale.read", &["sale.read", "sale.read"]),
        ] {
            assert_eq!(scope(target, lines).as_deref(), Some("sale.read"), "{target} {lines:?}");
        }
        let longest = "s".repeat(64);
        assert_eq!(scope(&format!("/auth?scope={longest}"), &[]), Some(longest));
    }

    #[test]
    fn everything_else_is_granted_by_no_key() {
        for (target, lines) in [
            ("/auth?scope", &[][..]),
            ("/auth?scope=", &[]),
            ("/auth?scope=a&scope=b", &[]),
            ("/auth?scope=a&scope=", &[]),
            ("/auth?scope=a,b", &[]),
            ("/auth?scope=a+b", &[]),
            ("/auth?scope=%00", &[]),
            ("/auth?scope=%E9", &[]),
            ("/auth?scope=caf%C3%A9", &[]),
            ("/auth", &[""]),
            ("/auth", &["a, b"]),
            ("/auth", &["a", "b"]),
            ("/auth", &["caf\u{e9}"]),
            ("/auth?scope=a", &["b"]),
            ("/auth?scope=a", &[""]),
        ] {
            assert_eq!(scope(target, lines).as_deref(), Some(NOBODYS), "{target} {lines:?}");
        }
        let long = "s".repeat(65);
        assert_eq!(scope(&format!("/auth?scope={long}"), &[]).as_deref(), Some(NOBODYS));
    }
}
