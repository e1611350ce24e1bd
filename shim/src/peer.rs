//! Who is at the other end of a connection.

use std::fmt;
use std::net::IpAddr;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    Address(IpAddr),
    /// A process of this machine, which has no address.
    UnixSocket,
    /// Somebody of whom a balancer does not say more.
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
