//! Sockets that clients connect to: our own, or such as somebody passed on to us; and how to let go of one
//! without losing who is on the way to it.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use listenfd::ListenFd;
use tokio::net::{TcpListener, TcpSocket, UnixListener};
use tokio::time::sleep;
use tracing::warn;

use crate::listen_address::ListenAddress;
use crate::peer::Peer;
use crate::places::{Place, Places};
use crate::retirement;
use crate::stream::Stream;

/// Of clients whose connection is there and not accepted yet. The kernel has a bound of its own, `somaxconn`.
const BACKLOG: u32 = 4096;

pub struct Listener {
    socket: Socket,
    /// Another process has it too, or will: what is not accepted yet is that one's.
    is_passed: bool,
}

enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener, PathBuf),
}

#[derive(Clone, Copy, Debug)]
pub struct ListenOptions {
    pub reuse_port: bool,
    pub socket_mode: u32,
}

/// All that we are to listen on. `passed` are the sockets that we were started with.
pub fn open(
    addresses: &[ListenAddress],
    options: ListenOptions,
    mut passed: ListenFd,
) -> Result<Vec<Listener>, String> {
    let mut listeners = Vec::new();
    for address in addresses {
        let failed = |error: io::Error| format!("cannot listen on {address}: {error}");
        match address {
            ListenAddress::Tcp(tcp) => listeners.push(listen(*tcp, options).map_err(failed)?),
            ListenAddress::Unix(path) => {
                listeners.push(listen_unix(path, options.socket_mode).map_err(failed)?);
            }
            ListenAddress::Systemd => listeners.extend(take(&mut passed).map_err(failed)?),
        }
    }
    if passed.len() > 0 && !addresses.contains(&ListenAddress::Systemd) {
        return Err("sockets were passed (LISTEN_FDS), but --listen does not say systemd".into());
    }
    Ok(listeners)
}

fn listen(address: SocketAddr, options: ListenOptions) -> io::Result<Listener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(options.reuse_port)?;
    socket.bind(address)?;
    Ok(Listener { socket: Socket::Tcp(socket.listen(BACKLOG)?), is_passed: false })
}

/// Under another name first: it appears with its permissions, and in the place of one that somebody left or still
/// serves, whose clients stay with them. It is not removed at the end, because it may be a successor's by then.
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

/// A port of another server than the one for clients.
impl From<TcpListener> for Listener {
    fn from(listener: TcpListener) -> Self {
        Self { socket: Socket::Tcp(listener), is_passed: false }
    }
}

impl Listener {
    /// The next connection, with its place, once there is one. Giving up loses nobody: between accepting and having
    /// a place there is nothing to wait for.
    pub async fn admit(&self, places: &Arc<Places>) -> (Stream, Peer, Place) {
        places.room().await;
        let (stream, peer) = self.next().await;
        (stream, peer, places.enter())
    }

    /// Errors of accept(2) are about one client, or pass: they never end the server.
    async fn next(&self) -> (Stream, Peer) {
        loop {
            match self.accept().await {
                Ok(accepted) => return accepted,
                Err(error) if is_of_one_client(&error) => {}
                Err(error) => {
                    // Out of descriptors or memory: the waiting client stays ready, so without a
                    // pause this would spin.
                    warn!(%error, "cannot accept connections");
                    sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    async fn accept(&self) -> io::Result<(Stream, Peer)> {
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

    /// For people, and for whoever started us with port 0.
    pub fn url(&self, has_tls: bool) -> io::Result<String> {
        let scheme = if has_tls { "https" } else { "http" };
        Ok(match &self.socket {
            Socket::Tcp(listener) => format!("{scheme}://{}", listener.local_addr()?),
            Socket::Unix(_, path) => format!("unix:{}", path.display()),
        })
    }

    /// Whether to accept for a moment those who are connected or about to be; nobody new should begin to.
    pub fn retire(&self) -> bool {
        if !self.is_passed
            && let Socket::Tcp(listener) = &self.socket
        {
            retirement::begin(listener);
        }
        !self.is_passed
    }
}

fn is_of_one_client(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset)
}
