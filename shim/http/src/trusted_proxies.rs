//! Which address a request came from, when reverse proxies stand in between.

use std::net::IpAddr;

use hyper::HeaderMap;

use crate::forwarded::ForwardedHeader;
use crate::peer::{Peer, PeerSet};

/// Whose word on the client's address is taken, and where they give it.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies {
    pub proxies: PeerSet,
    pub header: ForwardedHeader,
}

impl TrustedProxies {
    /// The client's address; `None` when a trusted proxy does not say, or says nonsense.
    ///
    /// The header is written from the left by anybody and from the right by proxies, so it is
    /// read from the right: the first hop that is not a proxy of ours is the client, and
    /// what stands left of it is only that client's claim.
    pub fn client(&self, peer: Peer, headers: &HeaderMap) -> Option<IpAddr> {
        if !self.proxies.contains(peer) {
            return peer.address();
        }
        let mut leftmost = None;
        for hop in self.header.hops(headers) {
            let address = hop?;
            if !self.proxies.contains_address(address) {
                return Some(address);
            }
            leftmost = Some(address);
        }
        leftmost
    }

    /// Whether the client came by TLS: a proxy of ours says so; anybody else may say what it likes.
    pub fn is_https(&self, peer: Peer, headers: &HeaderMap) -> bool {
        self.proxies.contains(peer) && self.header.is_https(headers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    fn client(trusted: &[&str], peer: &str, lines: &[&str]) -> Option<String> {
        let peer = match peer {
            "unix" => Peer::UnixSocket,
            "unknown" => Peer::Unknown,
            address => Peer::Address(address.parse().unwrap()),
        };
        let proxies = PeerSet::parse(trusted.iter().copied()).unwrap();
        let proxies = TrustedProxies { proxies, ..TrustedProxies::default() };
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append("x-forwarded-for", HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        proxies.client(peer, &headers).map(|address| address.to_string())
    }

    fn behind(lines: &[&str]) -> Option<String> {
        client(&["10.0.0.0/8", "fd00::/8"], "10.0.0.1", lines)
    }

    #[test]
    fn tls_is_believed_of_trusted_proxies_alone() {
        let proxies = PeerSet::parse(["10.0.0.1"].into_iter()).unwrap();
        let proxies = TrustedProxies { proxies, ..TrustedProxies::default() };
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-proto", HeaderValue::from_static("https"));
        let https =
            |peer: &str, headers| proxies.is_https(Peer::Address(peer.parse().unwrap()), headers);
        assert!(https("10.0.0.1", &headers));
        assert!(https("::ffff:10.0.0.1", &headers));
        assert!(!https("10.0.0.2", &headers));
        assert!(!https("10.0.0.1", &HeaderMap::new()));
    }

    #[test]
    fn a_stranger_speaks_for_itself_only() {
        let peer = "192.0.2.7";
        assert_eq!(client(&[], peer, &["1.2.3.4"]).as_deref(), Some(peer));
        assert_eq!(client(&["10.0.0.0/8"], peer, &["1.2.3.4"]).as_deref(), Some(peer));
        assert_eq!(client(&[], "::ffff:192.0.2.7", &[]).as_deref(), Some(peer));
    }

    #[test]
    fn a_unix_socket_has_no_address_and_is_believed_when_named() {
        let lines = ["192.0.2.7"];
        assert_eq!(client(&["0.0.0.0/0", "::/0"], "unix", &lines), None);
        assert_eq!(client(&["unix"], "unix", &lines).as_deref(), Some("192.0.2.7"));
        assert_eq!(client(&["unix"], "unix", &[]), None);
        assert_eq!(client(&["unix", "0.0.0.0/0", "::/0"], "unknown", &lines), None);
    }

    #[test]
    fn hops_are_read_from_the_right() {
        let client = Some("192.0.2.7".to_owned());
        assert_eq!(behind(&["192.0.2.7"]), client);
        assert_eq!(behind(&["1.2.3.4, 192.0.2.7"]), client);
        assert_eq!(behind(&["1.2.3.4,192.0.2.7, 10.9.9.9,fd00::5"]), client);
        assert_eq!(behind(&["1.2.3.4", "192.0.2.7", "10.9.9.9"]), client);
        assert_eq!(behind(&["garbage, 192.0.2.7"]), client);
        assert_eq!(behind(&["::ffff:192.0.2.7"]), client);
    }

    #[test]
    fn nobody_named_is_unknown() {
        assert_eq!(behind(&[]), None);
        assert_eq!(behind(&[""]), None);
        assert_eq!(behind(&["192.0.2.7,"]), None);
        assert_eq!(behind(&["192.0.2.7, unknown, 10.0.0.2"]), None);
        assert_eq!(behind(&["192.0.2.7", "\u{e9}"]), None);
    }

    #[test]
    fn all_hops_trusted_is_the_leftmost() {
        assert_eq!(behind(&["10.1.1.1, 10.2.2.2"]).as_deref(), Some("10.1.1.1"));
    }

    /// A proxy that writes the one passes the other on as the client sent it.
    #[test]
    fn the_other_header_is_not_read() {
        for (header, expected) in [
            (ForwardedHeader::XForwardedFor, "192.0.2.7"),
            (ForwardedHeader::Forwarded, "192.0.2.8"),
        ] {
            let proxies = PeerSet::parse(["10.0.0.1"].into_iter()).unwrap();
            let proxies = TrustedProxies { proxies, header };
            let mut headers = HeaderMap::new();
            headers.insert("x-forwarded-for", HeaderValue::from_static("192.0.2.7"));
            headers.insert("forwarded", HeaderValue::from_static("for=192.0.2.8"));
            let client = proxies.client(Peer::Address([10, 0, 0, 1].into()), &headers);
            assert_eq!(client, Some(expected.parse().unwrap()));
        }
    }
}
