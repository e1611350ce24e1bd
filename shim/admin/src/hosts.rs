//! The names that the admin page goes by. The browser of somebody who opens a stranger's page,
//! whose name leads to this machine (DNS rebinding), says that name, and gets nothing.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hyper::http::request::Parts;

use apikey_http::host;

/// The names, as `host::spelled` writes them.
#[derive(Debug)]
pub struct Hosts(HashSet<String>);

impl Hosts {
    /// The names of `--admin-host`, and those of this machine to itself.
    pub fn parse<'a>(names: impl Iterator<Item = &'a str>) -> Result<Self, String> {
        let loopback = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
        let mut hosts = HashSet::from(loopback.map(of_address));
        hosts.insert("localhost".to_owned());
        for name in names {
            hosts.insert(host::spelled(name).ok_or_else(|| {
                format!(
                    "\"{name}\" is no name such as keys.example.org and no address such as \
                     192.0.2.7 or [2001:db8::7] (no port, no scheme; international names in \
                     their xn-- form)"
                )
            })?);
        }
        Ok(Self(hosts))
    }

    /// And the address that it listens on.
    pub fn with(mut self, address: IpAddr) -> Self {
        if !address.is_unspecified() {
            self.0.insert(of_address(address));
        }
        self
    }

    pub fn include(&self, host: &str) -> bool {
        self.0.contains(host)
    }
}

/// The one that a request is for. Browsers always say it, and once.
pub fn of(head: &Parts) -> Option<String> {
    host::requested(&head.uri, &head.headers).and_then(host::of_authority)
}

fn of_address(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_the_own_address_and_what_is_named() {
        let names = ["Keys.example.org.", "192.0.2.7"];
        let hosts = Hosts::parse(names.into_iter()).unwrap();
        let hosts = hosts.with("2001:db8::1".parse().unwrap());
        for name in
            ["localhost", "127.0.0.1", "[::1]", "keys.example.org", "192.0.2.7", "[2001:db8::1]"]
        {
            assert!(hosts.include(name), "{name}");
        }
        for name in ["example.org", "evil.example", "a.keys.example.org", "127.0.0.2", ""] {
            assert!(!hosts.include(name), "{name}");
        }
        let anywhere = Hosts::parse([].into_iter()).unwrap().with("0.0.0.0".parse().unwrap());
        assert!(!anywhere.include("0.0.0.0"), "which browsers take for this machine");
        for name in ["", "a b", "keys.example.org:8081", "https://a.b", "*.example.org", "::1"] {
            assert!(Hosts::parse([name].into_iter()).is_err(), "{name}");
        }
    }
}
