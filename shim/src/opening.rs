//! From accept to the first byte of HTTP: what a balancer has to say, then the TLS handshake.

use std::io;
use std::sync::Arc;

use tokio::time::timeout;
use tracing::debug;

use crate::peer::Peer;
use crate::places::Place;
use crate::server::Server;
use crate::server_tls::HTTP_2;
use crate::stream::Stream;
use crate::{connection, http2, proxy_protocol};

/// One connection, from accept to close.
pub async fn serve(server: &Arc<Server>, stream: Stream, peer: Peer, place: &Arc<Place>) {
    let opened = tokio::select! {
        biased;
        opened = timeout(server.limits.header_time, open(server, stream, peer)) => opened,
        () = place.must_end() => return,
    };
    match opened {
        Ok(Ok((stream, peer, true))) => http2::serve(server, stream, peer, place).await,
        Ok(Ok((stream, peer, false))) => connection::serve(server, stream, peer, place).await,
        // No stranger's noise in the log unless somebody wants to see it.
        Ok(Err(error)) => debug!(%peer, %error, "connection is not opened"),
        Err(_) => debug!(%peer, "opening the connection takes too long (--header-timeout)"),
    }
}

/// The stream, who is at its other end, and whether they speak HTTP/2. Unix sockets have no TLS: what passes there stays on
/// this machine.
async fn open(
    server: &Server,
    mut stream: Stream,
    mut peer: Peer,
) -> io::Result<(Stream, Peer, bool)> {
    if server.doors.balancers.include(peer) {
        peer = proxy_protocol::read(&mut stream, peer).await.map_err(|error| {
            io::Error::new(error.kind(), format!("PROXY protocol header: {error}"))
        })?;
    }
    Ok(match (stream, &server.doors.tls) {
        (Stream::Tcp(tcp), Some(tls)) => {
            let stream = tls.acceptor().accept(tcp).await?;
            let is_http2 = stream.get_ref().1.alpn_protocol() == Some(HTTP_2);
            (Stream::Tls(Box::new(stream)), peer, is_http2)
        }
        (stream, _) => (stream, peer, false),
    })
}
