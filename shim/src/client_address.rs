//! Which address a request came from, when reverse proxies stand in between.

use std::net::{IpAddr, SocketAddr};

use hyper::HeaderMap;
use hyper::header::HeaderName;
use ipnet::{IpNet, Ipv4Net};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The networks whose word on the client's address is taken.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    pub fn parse<'a>(networks: impl Iterator<Item = &'a str>) -> Result<Self, String> {
        networks.map(network).collect::<Result<_, _>>().map(Self)
    }

    /// The client's address; `None` when a trusted proxy does not say, or says nonsense.
    ///
    /// `X-Forwarded-For` is written from the left by anybody and from the right by proxies, so
    /// it is read from the right: the first hop that is not a proxy of ours is the client, and
    /// what stands left of it is only that client's claim.
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> Option<IpAddr> {
        let peer = peer.to_canonical();
        if !self.trusts(peer) {
            return Some(peer);
        }
        // Several header lines are one list, in order (RFC 9110, 5.3).
        let lines: Vec<_> = headers.get_all(X_FORWARDED_FOR).iter().collect();
        let hops = lines.iter().rev().flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
        let mut leftmost = None;
        for entry in hops {
            let address = hop(entry)?;
            if !self.trusts(address) {
                return Some(address);
            }
            leftmost = Some(address);
        }
        leftmost
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// One entry: an address, with or without brackets and port. The port is of no use here.
fn hop(entry: &[u8]) -> Option<IpAddr> {
    let entry = std::str::from_utf8(entry).ok()?.trim_matches([' ', '\t']);
    let address = entry
        .parse()
        .or_else(|_| entry.parse::<SocketAddr>().map(|socket| socket.ip()))
        .ok()
        .or_else(|| bracketed(entry))?;
    Some(address.to_canonical())
}

fn bracketed(entry: &str) -> Option<IpAddr> {
    let inner = entry.strip_prefix('[')?.strip_suffix(']')?;
    inner.parse().ok().map(IpAddr::V6)
}

fn network(text: &str) -> Result<IpNet, String> {
    let network =
        text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).map_err(
            |_| format!("\"{text}\" is no address and no network such as 10.0.0.0/8 or fd00::/8"),
        )?;
    Ok(unmapped(network))
}

/// `::ffff:10.0.0.0/104` is 10.0.0.0/8: addresses are compared in their IPv4 form.
fn unmapped(network: IpNet) -> IpNet {
    let IpNet::V6(mapped) = network else {
        return network;
    };
    match (mapped.network().to_ipv4_mapped(), mapped.prefix_len()) {
        (Some(address), bits @ 96..) => Ipv4Net::new(address, bits - 96).map_or(network, IpNet::V4),
        _ => network,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use hyper::header::HeaderValue;

    fn client(trusted: &[&str], peer: &str, lines: &[&str]) -> Option<String> {
        let proxies = TrustedProxies::parse(trusted.iter().copied()).unwrap();
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(X_FORWARDED_FOR, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        proxies.client(peer.parse().unwrap(), &headers).map(|address| address.to_string())
    }

    fn behind(lines: &[&str]) -> Option<String> {
        client(&["10.0.0.0/8", "fd00::/8"], "10.0.0.1", lines)
    }

    #[test]
    fn a_stranger_speaks_for_itself_only() {
        let peer = "192.0.2.7";
        assert_eq!(client(&[], peer, &["1.2.3.4"]).as_deref(), Some(peer));
        assert_eq!(client(&["10.0.0.0/8"], peer, &["1.2.3.4"]).as_deref(), Some(peer));
        assert_eq!(client(&[], "::ffff:192.0.2.7", &[]).as_deref(), Some(peer));
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

    #[test]
    fn ports_and_brackets() {
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
        ] {
            assert_eq!(behind(&[entry]).as_deref(), address, "{entry}");
        }
    }

    #[test]
    fn networks() {
        for text in ["127.0.0.1", "::1", "10.1.2.3/8", "::ffff:10.0.0.0/104"] {
            assert!(network(text).is_ok(), "{text}");
        }
        for text in ["", "10.0.0.0/33", "localhost", "*", "10.0.0.0/8 "] {
            assert!(network(text).is_err(), "{text}");
        }
        let mapped = network("::ffff:10.0.0.0/104").unwrap();
        assert_eq!(mapped.to_string(), "10.0.0.0/8");
        assert_eq!(network("::ffff:10.1.2.3").unwrap().to_string(), "10.1.2.3/32");
        assert_eq!(network("::/0").unwrap().to_string(), "::/0");
    }
}
