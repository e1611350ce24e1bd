//! Sockets that clients connect to: those that we open, and those that somebody passed on to us.

use std::fmt;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use listenfd::ListenFd;
use tokio::net::{TcpListener, TcpSocket, UnixListener};
use tokio::time::sleep;
use tracing::warn;

use crate::connection_limit::{ConnectionLimit, Slot};
use crate::log_target;
use crate::peer::Peer;
use crate::stream::Stream;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    Tcp(SocketAddr),
    Unix(PathBuf),
    /// The sockets that whoever started us has opened (sd_listen_fds(3)).
    Systemd,
}

impl FromStr for ListenAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "systemd" {
            return Ok(Self::Systemd);
        }
        match text.strip_prefix("unix:") {
            Some(path) if Path::new(path).is_absolute() => Ok(Self::Unix(path.into())),
            Some(_) => Err("the path after unix: does not begin with a slash".into()),
            None => text.parse().map(Self::Tcp).map_err(|_| {
                "it is none of 127.0.0.1:8080, [::1]:8080, unix:/path/to/socket, systemd".into()
            }),
        }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Systemd => f.write_str("systemd"),
        }
    }
}

/// Parses the permissions of a Unix socket, in octal.
pub fn socket_mode(text: &str) -> Result<u32, String> {
    let is_octal =
        (3..=4).contains(&text.len()) && text.bytes().all(|digit| digit.is_ascii_digit());
    let mode = u32::from_str_radix(text, 8).ok().filter(|mode| is_octal && *mode <= 0o777);
    mode.ok_or_else(|| "it is no mode such as 0660".into())
}

/// Connections that nobody has accepted yet. The kernel has a bound of its own, `somaxconn`.
const BACKLOG: u32 = 4096;

pub struct Listener {
    socket: Socket,
    /// Another process has the socket, too, or will: what is not accepted yet is that one's.
    is_passed: bool,
}

enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener, PathBuf),
}

/// Opens everything that we are to listen on. `passed` are the sockets that we were started with.
pub fn open(
    addresses: &[ListenAddress],
    socket_mode: u32,
    mut passed: ListenFd,
) -> Result<Vec<Listener>, String> {
    let mut listeners = Vec::new();
    for address in addresses {
        let failed = |error: io::Error| format!("cannot listen on {address}: {error}");
        match address {
            ListenAddress::Tcp(tcp) => listeners.push(listen(*tcp).map_err(failed)?),
            ListenAddress::Unix(path) => {
                listeners.push(listen_unix(path, socket_mode).map_err(failed)?);
            }
            ListenAddress::Systemd => listeners.extend(take(&mut passed).map_err(failed)?),
        }
    }
    if passed.len() > 0 && !addresses.contains(&ListenAddress::Systemd) {
        return Err("sockets were passed (LISTEN_FDS), but --listen does not say systemd".into());
    }
    Ok(listeners)
}

pub fn listen(address: SocketAddr) -> io::Result<Listener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(Listener { socket: Socket::Tcp(socket.listen(BACKLOG)?), is_passed: false })
}

/// Binds the socket under another name first, so that it appears with its permissions, and replaces
/// one that somebody left or still serves, whose clients stay with them. The socket is not removed
/// at the end: it may be a successor's by then.
fn listen_unix(path: &Path, mode: u32) -> io::Result<Listener> {
    if fs::symlink_metadata(path).is_ok_and(|found| !found.file_type().is_socket()) {
        return Err(io::Error::other("there is a file of this name, and it is no socket"));
    }
    let mut new = path.as_os_str().to_owned();
    new.push(format!(".{}.new", std::process::id()));
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&new)?;
    fs::set_permissions(&new, fs::Permissions::from_mode(mode))?;
    fs::rename(&new, path)?;
    Ok(Listener { socket: Socket::Unix(listener, path.to_owned()), is_passed: false })
}

fn take(passed: &mut ListenFd) -> io::Result<Vec<Listener>> {
    if passed.len() == 0 {
        return Err(io::Error::other("no socket was passed (LISTEN_FDS)"));
    }
    let mut listeners = Vec::new();
    for number in 0..passed.len() {
        let socket = if let Ok(Some(tcp)) = passed.take_tcp_listener(number) {
            tcp.set_nonblocking(true)?;
            Socket::Tcp(TcpListener::from_std(tcp)?)
        } else if let Ok(Some(unix)) = passed.take_unix_listener(number) {
            unix.set_nonblocking(true)?;
            let path = unix.local_addr()?.as_pathname().map(Path::to_owned).unwrap_or_default();
            Socket::Unix(UnixListener::from_std(unix)?, path)
        } else {
            return Err(io::Error::other(
                "a socket that was passed is no listening TCP or Unix socket",
            ));
        };
        listeners.push(Listener { socket, is_passed: true });
    }
    Ok(listeners)
}

impl Listener {
    /// The next connection, with its slot, as soon as there is room. Dropping the future loses no
    /// client: between accepting a connection and its slot there is nothing to wait for.
    pub async fn accept(&self, limit: &Arc<ConnectionLimit>) -> (Stream, Peer, Slot) {
        limit.wait_for_room().await;
        let (stream, peer) = self.next().await;
        (stream, peer, limit.take_slot())
    }

    /// Errors of accept(2) are about one client, or pass: they never end the server.
    async fn next(&self) -> (Stream, Peer) {
        loop {
            match self.accept_once().await {
                Ok(accepted) => return accepted,
                Err(error) if is_of_one_client(&error) => {}
                Err(error) => {
                    // Out of descriptors or memory: the waiting client stays ready, so without a
                    // pause this would spin.
                    warn!(target: log_target::SERVER, %error, "cannot accept connections");
                    sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    async fn accept_once(&self) -> io::Result<(Stream, Peer)> {
        match &self.socket {
            Socket::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                // An answer is one write; waiting to fill a packet would only delay it.
                let _ = stream.set_nodelay(true);
                Ok((Stream::Tcp(stream), Peer::Address(address.ip())))
            }
            Socket::Unix(listener, _) => {
                let (stream, _) = listener.accept().await?;
                Ok((Stream::Unix(stream), Peer::UnixSocket))
            }
        }
    }

    /// Where clients connect to, for people and for whoever started us with port 0.
    pub fn url(&self, has_tls: bool) -> io::Result<String> {
        let scheme = if has_tls { "https" } else { "http" };
        Ok(match &self.socket {
            Socket::Tcp(listener) => format!("{scheme}://{}", listener.local_addr()?),
            Socket::Unix(_, path) => format!("unix:{}", path.display()),
        })
    }

    pub fn local_address(&self) -> io::Result<SocketAddr> {
        match &self.socket {
            Socket::Tcp(listener) => listener.local_addr(),
            Socket::Unix(..) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Whether whoever waits to be accepted is ours alone, and is lost when we close the socket.
    pub fn is_ours_alone(&self) -> bool {
        !self.is_passed
    }
}

fn is_of_one_client(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_modes() {
        for text in ["127.0.0.1:0", "[::1]:8080", "unix:/run/apikey/shim.sock", "systemd"] {
            assert_eq!(text.parse::<ListenAddress>().map(|it| it.to_string()), Ok(text.into()));
        }
        for text in ["", "localhost:80", "127.0.0.1", "unix:", "unix:shim.sock", "unix:./x"] {
            assert!(text.parse::<ListenAddress>().is_err(), "{text}");
        }
        assert_eq!(socket_mode("0660"), Ok(0o660));
        assert_eq!(socket_mode("600"), Ok(0o600));
        for text in ["", "rw-", "8", "0888", "1777", "+660"] {
            assert!(socket_mode(text).is_err(), "{text}");
        }
    }
}
