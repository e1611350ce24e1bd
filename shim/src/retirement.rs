//! Keeping new connections away from a TCP socket that is about to close. What the kernel has in hand for it then, it
//! resets: handshakes that are not complete, and those that nobody has accepted. So new ones must not begin there while
//! the last of these are accepted.
//!
//! Two programs for the kernel's packet filter (classic BPF) see to it. Of sockets that share a port
//! (SO_REUSEPORT) the second one gets all connections: whoever came after us, since the kernel lists
//! them in order of age, and if there is none, the first. And a first packet that reaches us all the same is dropped. Its
//! client sends it again after a second, to whoever listens then.

use nix::libc;
use nix::sys::socket::{setsockopt, sockopt};
use socket2::{SockFilter, SockRef};
use tokio::net::TcpListener;
use tracing::debug;

/// `return 1`.
const TO_THE_SECOND: libc::sock_filter = libc::sock_filter { code: RETURN, jt: 0, jf: 0, k: 1 };

/// A packet begins with the TCP header here. If of its flags (RFC 9293, 3.1) SYN is set and ACK is not, none
/// of it is let through, otherwise all of it.
const NO_FIRST_PACKETS: [SockFilter; 5] = [
    SockFilter::new(LOAD_BYTE, 0, 0, 13),
    SockFilter::new(AND, 0, 0, 0x12),
    SockFilter::new(SKIP_UNLESS_EQUAL, 0, 1, 0x02),
    SockFilter::new(RETURN, 0, 0, 0),
    SockFilter::new(RETURN, 0, 0, u32::MAX),
];
const LOAD_BYTE: u16 = 0x30;
const AND: u16 = 0x54;
const SKIP_UNLESS_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;

/// Where the kernel knows no such thing, a few clients may be lost.
pub fn begin(listener: &TcpListener) {
    let socket = SockRef::from(listener);
    if socket.reuse_port().unwrap_or(false) {
        let mut instructions = [TO_THE_SECOND];
        let program = libc::sock_fprog { len: 1, filter: instructions.as_mut_ptr() };
        if let Err(error) = setsockopt(listener, sockopt::AttachReusePortCbpf, &program) {
            debug!(%error, "cannot send new connections to the successor");
        }
    }
    if let Err(error) = socket.attach_filter(&NO_FIRST_PACKETS) {
        debug!(%error, "cannot keep new connections away from a socket that closes");
    }
}
