//! The two headers in which proxies say for whom they ask: `X-Forwarded-For`, a list of addresses,
//! and `Forwarded` (RFC 7239), a list of elements such as `for="[2001:db8::1]:4711";proto=https`.
//! With the first goes `X-Forwarded-Proto`.
//!
//! Only one of them is read. A proxy that writes the one passes the other on as the client sent it.

use std::net::{IpAddr, SocketAddr};

use hyper::HeaderMap;
use hyper::header::{self, HeaderName};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED: HeaderName = header::FORWARDED;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForwardedHeader {
    #[default]
    XForwardedFor,
    Forwarded,
}

impl ForwardedHeader {
    pub const NAMES: [&str; 2] = ["x-forwarded-for", "forwarded"];

    /// The header of one of these names.
    pub fn named(name: &str) -> Self {
        if name == Self::NAMES[1] { Self::Forwarded } else { Self::XForwardedFor }
    }

    /// The hops that are named, from the right: the nearest first. `None` is one that is no
    /// address.
    ///
    /// Several lines are one list, in order (RFC 9110, 5.3). Commas end an entry even within
    /// quotes: no address has one, and a quote that a client left open must not swallow what a
    /// proxy wrote behind it.
    pub fn hops(self, headers: &HeaderMap) -> impl Iterator<Item = Option<IpAddr>> {
        entries(headers, self.name()).map(move |entry| {
            let address = match self {
                Self::XForwardedFor => listed(entry?),
                Self::Forwarded => node(parameter(entry?, "for")?),
            };
            address.map(|address| address.to_canonical())
        })
    }

    /// Whether whoever came to the nearest proxy came by TLS.
    pub fn is_https(self, headers: &HeaderMap) -> bool {
        let scheme = match self {
            Self::XForwardedFor => entries(headers, X_FORWARDED_PROTO).next().flatten(),
            Self::Forwarded => {
                let nearest = entries(headers, FORWARDED).next().flatten();
                nearest.and_then(|element| parameter(element, "proto"))
            }
        };
        scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"))
    }

    fn name(self) -> HeaderName {
        match self {
            Self::XForwardedFor => X_FORWARDED_FOR,
            Self::Forwarded => FORWARDED,
        }
    }
}

/// The entries of a list from the right. `None` is one that is no text.
fn entries(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = Option<&str>> {
    let lines: Vec<_> = headers.get_all(name).iter().collect();
    let entries = lines.into_iter().rev().flat_map(|line| line.as_bytes().rsplit(is_comma));
    entries.map(|entry| std::str::from_utf8(entry).ok().map(trimmed))
}

fn is_comma(byte: &u8) -> bool {
    *byte == b','
}

fn trimmed(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

/// An address, with or without brackets and port. The port is of no use here.
fn listed(entry: &str) -> Option<IpAddr> {
    let plain = entry.parse().or_else(|_| entry.parse::<SocketAddr>().map(|socket| socket.ip()));
    plain.ok().or_else(|| bracketed(entry))
}

fn bracketed(text: &str) -> Option<IpAddr> {
    let inner = text.strip_prefix('[')?.strip_suffix(']')?;
    inner.parse().ok().map(IpAddr::V6)
}

/// The value of a parameter of an element. `None` where it is not there or there twice, or where
/// the element is not well-formed.
fn parameter<'a>(element: &'a str, wanted: &str) -> Option<&'a str> {
    let mut found = None;
    for pair in element.split(';') {
        let (name, text) = trimmed(pair).split_once('=')?;
        let text = value(text)?;
        if !is_token(name) {
            return None;
        }
        if name.eq_ignore_ascii_case(wanted) && found.replace(text).is_some() {
            return None;
        }
    }
    found
}

/// A token, or what is between quotes. No backslash: neither addresses nor their ports need one.
fn value(text: &str) -> Option<&str> {
    match text.strip_prefix('"') {
        Some(quoted) => quoted.strip_suffix('"').filter(|inner| !inner.contains(['"', '\\'])),
        None => is_token(text).then_some(text),
    }
}

/// RFC 7239, 6. `unknown` and names such as `_gazonk` are no addresses; a port may be such a name.
fn node(text: &str) -> Option<IpAddr> {
    let end = match text.rfind(']') {
        Some(bracket) => bracket + 1,
        None => text.find(':').unwrap_or(text.len()),
    };
    let (name, port) = text.split_at(end);
    if !port.is_empty() && !port.strip_prefix(':').is_some_and(is_port) {
        return None;
    }
    bracketed(name).or_else(|| name.parse().ok().map(IpAddr::V4))
}

fn is_port(text: &str) -> bool {
    let is_name = |name: &str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        !name.is_empty() && name.bytes().all(allowed)
    };
    match text.strip_prefix('_') {
        Some(name) => is_name(name),
        None => (1..=5).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()),
    }
}

/// RFC 9110, 5.6.2.
fn is_token(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;
    use proptest::prelude::*;

    /// The hops of these lines, from the right.
    fn hops(header: ForwardedHeader, lines: &[&str]) -> Vec<Option<String>> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header.name(), HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        header.hops(&headers).map(|hop| hop.map(|address| address.to_string())).collect()
    }

    fn last(header: ForwardedHeader, line: &str) -> Option<String> {
        hops(header, &[line]).into_iter().next().flatten()
    }

    #[test]
    fn from_the_right_over_all_lines() {
        use ForwardedHeader::{Forwarded, XForwardedFor};
        let expected = ["192.0.2.3", "192.0.2.2", "192.0.2.1"].map(|hop| Some(hop.to_owned()));
        assert_eq!(hops(XForwardedFor, &["192.0.2.1 ,\t192.0.2.2", "192.0.2.3"]), expected);
        let lines = ["for=192.0.2.1;by=_a, For=192.0.2.2", "proto=https;FOR=\"192.0.2.3:80\""];
        assert_eq!(hops(Forwarded, &lines), expected);
        assert_eq!(hops(Forwarded, &[]), []);
        assert_eq!(hops(XForwardedFor, &["192.0.2.1,", ""]), [None, None, expected[2].clone()]);
    }

    #[test]
    fn elements() {
        for (element, address) in [
            ("for=192.0.2.7", Some("192.0.2.7")),
            ("for=\"192.0.2.7\"", Some("192.0.2.7")),
            ("for=\"192.0.2.7:4711\"", Some("192.0.2.7")),
            ("for=\"192.0.2.7:_port-1\"", Some("192.0.2.7")),
            ("for=\"[2001:db8::1]\"", Some("2001:db8::1")),
            ("for=\"[2001:DB8::1]:4711\"", Some("2001:db8::1")),
            ("for=\"[::ffff:192.0.2.7]\"", Some("192.0.2.7")),
            ("by=203.0.113.43; FOR=192.0.2.7 ;proto=http;host=\"a:1\"", Some("192.0.2.7")),
            ("for=192.0.2.7;secret=_x!", Some("192.0.2.7")),
            ("for=unknown", None),
            ("for=_gazonk", None),
            ("for=\"_gazonk:80\"", None),
            ("for=", None),
            ("for=\"\"", None),
            ("for=\"", None),
            ("for", None),
            ("", None),
            ("192.0.2.7", None),
            ("by=192.0.2.7", None),
            ("xfor=192.0.2.7", None),
            ("for =192.0.2.7", None),
            ("for= 192.0.2.7", None),
            ("for=192.0.2.7;", None),
            ("for=192.0.2.7;for=192.0.2.7", None),
            ("for=192.0.2.7;for=unknown", None),
            ("for=192.0.2.7;host=\"x", None),
            ("for=192.0.2.7;ho st=x", None),
            ("for=192.0.2.7:4711", None),
            ("for=[2001:db8::1]", None),
            ("for=\"2001:db8::1\"", None),
            ("for=\"[192.0.2.7]\"", None),
            ("for=\"192.0.2.7:\"", None),
            ("for=\"192.0.2.7:123456\"", None),
            ("for=\"192.0.2.7:_\"", None),
            ("for=\"192.0.2.7\\:80\"", None),
            ("for=\"192.0.2.7\"x", None),
            ("for=\"\u{e9}\"", None),
        ] {
            let found = last(ForwardedHeader::Forwarded, element);
            assert_eq!(found.as_deref(), address, "{element}");
        }
    }

    #[test]
    fn the_nearest_proxy_says_whether_there_was_tls() {
        use ForwardedHeader::{Forwarded, XForwardedFor};
        for (header, name, lines, https) in [
            (XForwardedFor, X_FORWARDED_PROTO, &["https"][..], true),
            (XForwardedFor, X_FORWARDED_PROTO, &["http", "http, HTTPS"], true),
            (XForwardedFor, X_FORWARDED_PROTO, &["https", "http"], false),
            (XForwardedFor, X_FORWARDED_PROTO, &[], false),
            (XForwardedFor, FORWARDED, &["for=192.0.2.1;proto=https"], false),
            (Forwarded, FORWARDED, &["for=192.0.2.1;proto=https"], true),
            (Forwarded, FORWARDED, &["proto=http", "proto=http, Proto=\"HTTPS\";for=_a"], true),
            (Forwarded, FORWARDED, &["proto=https", "for=192.0.2.1"], false),
            (Forwarded, FORWARDED, &["proto=https;proto=https"], false),
            (Forwarded, FORWARDED, &["proto=https;"], false),
            (Forwarded, X_FORWARDED_PROTO, &["https"], false),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(name.clone(), HeaderValue::from_static(line));
            }
            assert_eq!(header.is_https(&headers), https, "{header:?} {name} {lines:?}");
        }
    }

    #[test]
    fn listed_addresses() {
        for (entry, address) in [
            ("192.0.2.7:567", Some("192.0.2.7")),
            ("[2001:db8::1]:443", Some("2001:db8::1")),
            ("[2001:db8::1]", Some("2001:db8::1")),
            ("\t [::1] ", Some("::1")),
            ("2001:db8::1", Some("2001:db8::1")),
            ("[::ffff:192.0.2.7]:1", Some("192.0.2.7")),
            ("[192.0.2.7]", None),
            ("192.0.2.7:", None),
            ("192.0.2.7:99999", None),
            ("192.0.2.7/32", None),
            ("\"192.0.2.7\"", None),
            ("for=192.0.2.7", None),
        ] {
            let found = last(ForwardedHeader::XForwardedFor, entry);
            assert_eq!(found.as_deref(), address, "{entry}");
        }
    }

    proptest! {
        /// Whatever a client sent before, open quotes included, the proxy's own element is what it
        /// is.
        #[test]
        fn what_stands_left_changes_nothing(left in "[ -~\t]{0,60}", quoted in any::<bool>()) {
            let own = if quoted { "for=\"[2001:db8::7]:80\";host=\"a\"" } else { "for=192.0.2.7" };
            let expected = if quoted { "2001:db8::7" } else { "192.0.2.7" };
            let found = last(ForwardedHeader::Forwarded, &format!("{left},{own}"));
            prop_assert_eq!(found.as_deref(), Some(expected));
            let found = last(ForwardedHeader::XForwardedFor, &format!("{left}, 192.0.2.7"));
            prop_assert_eq!(found.as_deref(), Some("192.0.2.7"));
        }
    }
}
