//! The host that a request names: whether it does so as HTTP wants it, and its name in one
//! spelling. Strict, so that two programs that look at one request see the same host: nothing is
//! percent-decoded, nothing is repaired.

use std::net::Ipv6Addr;

use hyper::header::HOST;
use hyper::{HeaderMap, Request, Uri, Version};

/// In bytes, both (RFC 1035, 2.3.4).
const LONGEST_NAME: usize = 253;
const LONGEST_LABEL: usize = 63;

/// RFC 9112, 3.2: one `Host` that is one, without which only HTTP/1.0 goes. RFC 9113, 8.3.1: in
/// HTTP/2 the authority may stand for it, and may not contradict it. In HTTP/1.1 an absolute target
/// outranks it (RFC 9112, 3.2.2). Neither names a user.
pub fn is_well_named<B>(request: &Request<B>) -> bool {
    let mut lines = request.headers().get_all(HOST).iter();
    let (line, further) = (lines.next(), lines.next());
    let Ok(line) = line.map(|line| line.to_str()).transpose() else { return false };
    let authority = request.uri().authority().map(|authority| authority.as_str());
    if further.is_some() || ![line, authority].into_iter().flatten().all(is_authority) {
        return false;
    }
    match (request.version(), line, authority) {
        (Version::HTTP_2, Some(line), Some(authority)) => is_same(line, authority),
        (Version::HTTP_2, None, None) | (Version::HTTP_11, None, _) => false,
        _ => true,
    }
}

fn is_same(one: &str, other: &str) -> bool {
    let spelled = of_authority(one);
    one.eq_ignore_ascii_case(other) || (spelled.is_some() && spelled == of_authority(other))
}

/// RFC 3986, 3.2.2 and 3.2.3, without a user: `spelled` takes less.
fn is_authority(text: &str) -> bool {
    without_port(text).is_some_and(|host| match host.strip_prefix('[') {
        Some(rest) => {
            rest.strip_suffix(']').is_some_and(|address| address.parse::<Ipv6Addr>().is_ok())
        }
        None => host
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=%".contains(&byte)),
    })
}

/// The authority that a request is for. An absolute request target outranks `Host` (RFC 9112,
/// 3.2.2). Two `Host` lines name nobody. No other header counts: every client can write
/// X-Forwarded-Host, and many proxies pass it on.
pub fn requested<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Option<&'a str> {
    let mut lines = headers.get_all(HOST).iter();
    let line = lines.next();
    if lines.next().is_some() {
        return None;
    }
    match uri.authority() {
        Some(authority) => Some(authority.as_str()),
        None => line?.to_str().ok(),
    }
}

/// The host of a `Host` header or of an absolute request target: `Venue.Example.org.:8080` is
/// `venue.example.org`.
pub fn of_authority(authority: &str) -> Option<String> {
    spelled(without_port(authority)?)
}

/// The port may be empty (RFC 3986, 3.2.3).
fn without_port(authority: &str) -> Option<&str> {
    let end = match authority.rfind(']') {
        // The colons of an IPv6 address are within its brackets.
        Some(bracket) => bracket + 1,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let (host, port) = authority.split_at(end);
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    (port.is_empty() || port.strip_prefix(':').is_some_and(is_port)).then_some(host)
}

/// A host alone, in lower case and without the full stop that DNS may end it with; an IPv6 address
/// in brackets, in its canonical form. `None` for anything else.
pub fn spelled(host: &str) -> Option<String> {
    if let Some(rest) = host.strip_prefix('[') {
        let address: Ipv6Addr = rest.strip_suffix(']')?.parse().ok()?;
        return Some(format!("[{address}]"));
    }
    let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    (name.len() <= LONGEST_NAME && name.split('.').all(is_label)).then_some(name)
}

/// A label may have an underscore: no name of the Internet has one, and many of private networks
/// do.
fn is_label(label: &str) -> bool {
    let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
    (1..=LONGEST_LABEL).contains(&label.len()) && label.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_well_named(version: Version, target: &str, lines: &[&str]) -> bool {
        let mut request = Request::builder().version(version).uri(target);
        for line in lines {
            request = request.header(HOST, line.as_bytes());
        }
        super::is_well_named(&request.body(()).unwrap())
    }

    #[test]
    fn one_host_that_is_one() {
        let versions = [Version::HTTP_10, Version::HTTP_11, Version::HTTP_2];
        for version in versions {
            for line in
                ["test", "TEST.:80", "test:", "", "a_b~!$&'()*+,;=%41", "[::1]:80", "192.0.2.7"]
            {
                assert!(is_well_named(version, "/", &[line]), "{version:?} {line}");
            }
            for line in
                ["a b", "u@test", "test:http", "::1", "[::1", "[test]", "a/b", "caf\u{e9}", "a\"b"]
            {
                assert!(!is_well_named(version, "/", &[line]), "{version:?} {line}");
            }
            assert!(!is_well_named(version, "/", &["test", "test"]), "{version:?}");
            assert!(!is_well_named(version, "http://u@test/", &["test"]), "{version:?}");
        }
        let without = |target| versions.map(|version| is_well_named(version, target, &[]));
        assert_eq!(without("/"), [true, false, false]);
        assert_eq!(without("http://test/"), [true, false, true]);
        let other =
            |host| versions.map(|version| is_well_named(version, "http://test:80/", &[host]));
        assert_eq!(other("other"), [true, true, false]);
        assert_eq!(other("Test."), [true, true, true]);
    }

    #[test]
    fn one_spelling_for_each_host() {
        for (authority, host) in [
            ("venue.example.org", "venue.example.org"),
            ("Venue.EXAMPLE.org", "venue.example.org"),
            ("venue.example.org:8080", "venue.example.org"),
            ("venue.example.org:", "venue.example.org"),
            ("venue.example.org.", "venue.example.org"),
            ("venue.example.org.:80", "venue.example.org"),
            ("localhost", "localhost"),
            ("ticket_office:80", "ticket_office"),
            ("192.0.2.7:80", "192.0.2.7"),
            ("[2001:DB8:0::1]:80", "[2001:db8::1]"),
            ("[::1]", "[::1]"),
        ] {
            assert_eq!(of_authority(authority).as_deref(), Some(host), "{authority}");
        }
    }

    #[test]
    fn everything_else_is_no_host() {
        for authority in [
            "",
            ".",
            ":80",
            "venue.example.org..",
            ".example.org",
            "venue..org",
            "venue.example.org:http",
            "venue.example.org:80:80",
            "venue.example.org, other.example.org",
            "venue.example.org/path",
            "user@venue.example.org",
            "ven%75e.example.org",
            "venue example.org",
            "*.example.org",
            "caf\u{e9}.example.org",
            "::1",
            "[::1",
            "::1]",
            "[::1].",
            "[::1]80",
            "[venue.example.org]",
            "[192.0.2.7]",
            "[fe80::1%25eth0]",
            "a]:80",
        ] {
            assert_eq!(of_authority(authority), None, "{authority:?}");
        }
        let long = |label: usize| format!("{}.org", "v".repeat(label));
        assert!(spelled(&long(63)).is_some() && spelled(&long(64)).is_none());
        assert_eq!(spelled(&["v"; 128].join(".")), None, "255 bytes");
        assert_eq!(spelled("venue.example.org:80"), None, "a port is of an authority");
    }
}
