//! The PROXY protocol, versions 1 and 2 (haproxy's doc/proxy-protocol.txt): what a balancer that
//! passes bytes on says first, namely whose bytes these are.

use std::io;
use std::net::IpAddr;

use ppp::{v1, v2};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::peer::Peer;

/// The shortest of all is `PROXY UNKNOWN\r\n`, so this much of one can be read without reading past
/// it.
const START: usize = v2::PROTOCOL_PREFIX.len();
/// The fixed part of a header of version 2, in bytes.
const FIXED: usize = START + 4;
/// The longest variable part of a header of version 2. Balancers send a few hundred bytes.
const LONGEST: usize = 4096;
/// The longest header of version 1, with its line end.
const LONGEST_LINE: usize = 107;

/// Reads exactly the header. `balancer` is who sends it.
pub async fn read(stream: &mut (impl AsyncRead + Unpin), balancer: Peer) -> io::Result<Peer> {
    let mut header = vec![0; START];
    stream.read_exact(&mut header).await?;
    if header == v2::PROTOCOL_PREFIX {
        read_rest(stream, &mut header).await?;
        let header = v2::Header::try_from(&*header).map_err(invalid)?;
        return match (header.command, header.protocol) {
            // The balancer itself, to see whether we live.
            (v2::Command::Local, _) => Ok(balancer),
            (v2::Command::Proxy, v2::Protocol::Datagram) => Err(invalid("it is about datagrams")),
            (v2::Command::Proxy, _) => Ok(match header.addresses {
                v2::Addresses::IPv4(addresses) => known(addresses.source_address),
                v2::Addresses::IPv6(addresses) => known(addresses.source_address),
                v2::Addresses::Unix(_) | v2::Addresses::Unspecified => Peer::Unknown,
            }),
        };
    }
    read_line(stream, &mut header).await?;
    let header = v1::Header::try_from(&*header).map_err(invalid)?;
    Ok(match header.addresses {
        v1::Addresses::Tcp4(addresses) => known(addresses.source_address),
        v1::Addresses::Tcp6(addresses) => known(addresses.source_address),
        v1::Addresses::Unknown => Peer::Unknown,
    })
}

/// Reads what follows the signature: version and command, family and protocol, and the length of
/// what follows.
async fn read_rest(stream: &mut (impl AsyncRead + Unpin), header: &mut Vec<u8>) -> io::Result<()> {
    header.resize(FIXED, 0);
    stream.read_exact(&mut header[START..]).await?;
    let length = usize::from(u16::from_be_bytes([header[14], header[15]]));
    if length > LONGEST {
        return Err(invalid("it is too long"));
    }
    header.resize(FIXED + length, 0);
    stream.read_exact(&mut header[FIXED..]).await?;
    Ok(())
}

/// Byte by byte, because what comes after the line is the client's.
async fn read_line(stream: &mut (impl AsyncRead + Unpin), header: &mut Vec<u8>) -> io::Result<()> {
    while header.starts_with(b"PROXY ") && header.len() < LONGEST_LINE {
        if header.ends_with(b"\r\n") {
            return Ok(());
        }
        header.push(stream.read_u8().await?);
    }
    if header.ends_with(b"\r\n") { Ok(()) } else { Err(invalid("there is none")) }
}

fn known(address: impl Into<IpAddr>) -> Peer {
    Peer::Address(address.into())
}

fn invalid(reason: impl ToString) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BALANCER: Peer = Peer::Address(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST));

    /// Who it is, and what is left for HTTP.
    async fn outcome(header: &[u8]) -> Option<(String, Vec<u8>)> {
        let bytes = [header, b"GET"].concat();
        let mut stream = &*bytes;
        let peer = read(&mut stream, BALANCER).await.ok()?;
        Some((peer.to_string(), stream.to_vec()))
    }

    fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(body.len()).unwrap().to_be_bytes();
        [v2::PROTOCOL_PREFIX, &[0x20 | command, family], &length, body].concat()
    }

    #[tokio::test]
    async fn headers_name_the_client_and_leave_the_rest() {
        let ipv4 = [192, 0, 2, 7, 10, 0, 0, 1, 0, 80, 1, 187];
        let with_tlv = [&ipv4[..], &[4, 0, 1, 42]].concat();
        for (header, peer) in [
            (b"PROXY TCP4 192.0.2.7 10.0.0.1 4711 80\r\n".to_vec(), "192.0.2.7"),
            (b"PROXY TCP6 2001:db8::1 fd00::1 4711 80\r\n".to_vec(), "2001:db8::1"),
            (b"PROXY UNKNOWN\r\n".to_vec(), "unknown"),
            (b"PROXY UNKNOWN ::1 ::1 1 2\r\n".to_vec(), "unknown"),
            (v2(1, 0x11, &ipv4), "192.0.2.7"),
            (v2(1, 0x11, &with_tlv), "192.0.2.7"),
            (v2(1, 0x21, &[0; 36]), "::"),
            (v2(1, 0x31, &[0; 216]), "unknown"),
            (v2(1, 0, &[]), "unknown"),
            (v2(0, 0, &[]), "127.0.0.1"),
            (v2(0, 0x11, &ipv4), "127.0.0.1"),
        ] {
            let expected = Some((peer.to_owned(), b"GET".to_vec()));
            assert_eq!(outcome(&header).await, expected, "{header:?}");
        }
    }

    #[tokio::test]
    async fn anything_else_is_refused() {
        let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(200));
        for header in [
            b"GET / HTTP/1.1\r\nHost: test\r\n\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.7 10.0.0.1 4711\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.777 10.0.0.1 4711 80\r\n".to_vec(),
            b"PROXY UNKNOWN".to_vec(),
            long.into_bytes(),
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00\x00\x00\x00\x00".to_vec(),
            v2(1, 0x11, &[192, 0, 2]),
            v2(1, 0x12, &[0; 12]),
            v2(2, 0x11, &[0; 12]),
            v2(1, 0x11, &[0; LONGEST + 1]),
        ] {
            assert_eq!(outcome(&header).await, None, "{header:?}");
        }
    }
}
