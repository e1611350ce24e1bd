//! The name of a host, brought into one spelling. Strict, so that two programs that look at one
//! request see the same host: nothing is percent-decoded, nothing is repaired.

use std::net::Ipv6Addr;

/// In bytes, both (RFC 1035, 2.3.4).
const LONGEST_NAME: usize = 253;
const LONGEST_LABEL: usize = 63;

/// The host of a `Host` header or of an absolute request target: `Venue.Example.org.:8080` is
/// `venue.example.org`. The port may be empty (RFC 3986, 3.2.3).
pub fn of_authority(authority: &str) -> Option<String> {
    let end = match authority.rfind(']') {
        // The colons of an IPv6 address are within its brackets.
        Some(bracket) => bracket + 1,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let (host, port) = authority.split_at(end);
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    if !port.is_empty() && !port.strip_prefix(':').is_some_and(is_port) {
        return None;
    }
    spelled(host)
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

/// With the underscore, which is in no name of the Internet and in many of private networks.
fn is_label(label: &str) -> bool {
    let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
    (1..=LONGEST_LABEL).contains(&label.len()) && label.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

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
