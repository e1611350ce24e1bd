//! Networks and addresses. An IPv4-mapped IPv6 address (RFC 4291, 2.5.5.2) is the IPv4 address, in
//! a rule as in a request.

use ipnet::{IpNet, Ipv4Net};
use std::net::IpAddr;

// Of Postgres's utils/inet.h: AF_INET of every system that it runs on, and the number after it.
const PGSQL_AF_INET: u8 = 2;
const PGSQL_AF_INET6: u8 = 3;

/// An address with the length of its netmask, as Postgres's `inet`: bits to the right of the mask
/// do not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network(IpNet);

impl Network {
    /// Reads an address or a network as text: `12.34.56.78`, `10.0.0.0/8`, `2001:db8::/32`.
    /// Postgres reads more (`10/8`), and other things than one would think.
    pub fn parse(text: &str) -> Option<Self> {
        let network = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        network.ok().map(canonical).map(Self)
    }

    /// Reads what Postgres stores for an `inet`: the family, the length of the netmask, and the 4
    /// or 16 bytes of the address. `None` for anything else.
    pub fn from_inet(stored: &[u8]) -> Option<Self> {
        let (&[family, bits], address) = stored.split_first_chunk()?;
        let address = match family {
            PGSQL_AF_INET => IpAddr::from(<[u8; 4]>::try_from(address).ok()?),
            PGSQL_AF_INET6 => IpAddr::from(<[u8; 16]>::try_from(address).ok()?),
            _ => return None,
        };
        IpNet::new(address, bits).ok().map(canonical).map(Self)
    }

    /// Whether the address lies in this network. `address` must be canonical, as [`Self::address`]
    /// is.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address)
    }

    /// The address without its netmask, IPv4 where it is IPv4-mapped.
    pub fn address(&self) -> IpAddr {
        self.0.addr()
    }
}

/// `::ffff:a.b.c.d/96+n` is `a.b.c.d/n`. A shorter mask covers more than the mapped addresses: it
/// stays an IPv6 network, which no IPv4 address lies in.
fn canonical(network: IpNet) -> IpNet {
    let IpNet::V6(v6) = network else { return network };
    let (Some(v4), Some(bits)) = (v6.addr().to_ipv4_mapped(), v6.prefix_len().checked_sub(96))
    else {
        return network;
    };
    Ipv4Net::new(v4, bits).map_or(network, IpNet::V4)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    fn network(text: &str) -> Network {
        let (address, bits) = text.split_once('/').unwrap_or((text, ""));
        let stored = match address.parse() {
            Ok(IpAddr::V4(v4)) => stored(PGSQL_AF_INET, bits.parse().unwrap_or(32), &v4.octets()),
            Ok(IpAddr::V6(v6)) => stored(PGSQL_AF_INET6, bits.parse().unwrap_or(128), &v6.octets()),
            Err(_) => panic!("{text} is no address"),
        };
        Network::from_inet(&stored).unwrap_or_else(|| panic!("{text} is an inet"))
    }

    fn stored(family: u8, bits: u8, address: &[u8]) -> Vec<u8> {
        [&[family, bits], address].concat()
    }

    fn contains(around: &str, address: &str) -> bool {
        network(around).contains(network(address).address())
    }

    #[test]
    fn the_mask_says_what_counts() {
        assert!(contains("12.34.56.78", "12.34.56.78"));
        assert!(!contains("12.34.56.78", "12.34.56.79"));
        assert!(contains("10.0.0.0/8", "10.255.0.1"));
        assert!(contains("10.1.2.3/8", "10.255.0.1"), "host bits do not count");
        assert!(!contains("10.0.0.0/8", "11.0.0.1"));
        assert!(contains("2001:db8::/32", "2001:db8:1::5"));
        assert!(!contains("2001:db8::/32", "2001:db9::5"));
    }

    #[test]
    fn a_mapped_address_is_the_ipv4_address() {
        assert!(contains("12.34.56.78", "::ffff:12.34.56.78"));
        assert!(contains("::ffff:12.34.56.78", "12.34.56.78"));
        assert!(contains("::ffff:12.34.0.0/112", "12.34.56.78"));
        assert!(!contains("::ffff:12.34.0.0/112", "12.35.56.78"));
        assert!(contains("::ffff:0.0.0.0/96", "12.34.56.78"));
        assert!(!contains("::/0", "::ffff:12.34.56.78"), "all of IPv6 is no IPv4");
        assert!(!contains("0.0.0.0/0", "2001:db8::1"));
        assert_eq!(network("::ffff:12.34.56.78").address().to_string(), "12.34.56.78");
    }

    #[test]
    fn as_text_it_is_the_same() {
        for text in
            ["127.0.0.1", "::1", "10.1.2.3/8", "2001:db8::/32", "::ffff:10.0.0.0/104", "::/0"]
        {
            assert_eq!(Network::parse(text), Some(network(text)), "{text}");
        }
        for text in ["", "10/8", "10.0.0.0/33", "10.0.0.0/8 ", "localhost", "*", "12.34.56"] {
            assert_eq!(Network::parse(text), None, "{text}");
        }
    }

    #[test]
    fn other_bytes_are_no_inet() {
        for (family, bits, length) in [
            (0, 32, 4),
            (1, 32, 4),
            (4, 32, 4),
            (10, 128, 16),
            (2, 33, 4),
            (3, 129, 16),
            (2, 32, 3),
            (2, 32, 16),
            (3, 32, 4),
        ] {
            let stored = stored(family, bits, &vec![1; length]);
            assert_eq!(Network::from_inet(&stored), None, "{stored:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_can_be_read(stored: Vec<u8>) {
            prop_assert!(Network::from_inet(&stored).is_none() || [6, 18].contains(&stored.len()));
        }

        #[test]
        fn membership_is_equality_under_the_mask(rule: u32, bits in 0..=32u8, address: u32) {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
            let rule_text = format!("{}/{bits}", Ipv4Addr::from(rule));
            let address_text = Ipv4Addr::from(address).to_string();
            prop_assert_eq!(contains(&rule_text, &address_text), rule & mask == address & mask);
            let mapped = format!("::ffff:{}/{}", Ipv4Addr::from(rule), bits + 96);
            prop_assert_eq!(contains(&mapped, &address_text), rule & mask == address & mask);
        }

        #[test]
        fn an_address_is_in_every_network_around_it(address: u128, bits in 0..=128u8) {
            let address = Ipv6Addr::from(address);
            prop_assume!(address.to_ipv4_mapped().is_none());
            let around = format!("{address}/{bits}");
            prop_assert!(contains(&around, &address.to_string()));
        }
    }
}
