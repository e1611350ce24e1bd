//! Who is at the other end of a connection, and sets of such peers that a setting names.

use std::fmt;
use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    Address(IpAddr),
    /// A process of this machine, which has no address.
    UnixSocket,
    /// A balancer passes bytes on and does not say whose.
    Unknown,
}

impl Peer {
    pub fn address(self) -> Option<IpAddr> {
        match self {
            Self::Address(address) => Some(address.to_canonical()),
            Self::UnixSocket | Self::Unknown => None,
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::UnixSocket => f.write_str("unix"),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

/// Networks, and whoever connects to a Unix socket of ours.
#[derive(Clone, Debug, Default)]
pub struct PeerSet {
    networks: Vec<IpNet>,
    unix: bool,
}

impl PeerSet {
    pub fn parse<'a>(items: impl Iterator<Item = &'a str>) -> Result<Self, String> {
        let mut peers = Self::default();
        for item in items {
            match item {
                "unix" => peers.unix = true,
                item => peers.networks.push(network(item)?),
            }
        }
        Ok(peers)
    }

    pub fn contains(&self, peer: Peer) -> bool {
        match peer {
            Peer::UnixSocket => self.unix,
            Peer::Address(address) => self.contains_address(address.to_canonical()),
            Peer::Unknown => false,
        }
    }

    /// The address has to be in its canonical form: one of IPv4 not in that of IPv6.
    pub fn contains_address(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(&address))
    }
}

fn network(text: &str) -> Result<IpNet, String> {
    let network =
        text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).map_err(
            |_| format!("\"{text}\" is no address and no network such as 10.0.0.0/8 or fd00::/8, and not unix"),
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
    use super::*;

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
