//! From accept to the first byte of HTTP: what a balancer has to say, then the TLS handshake.

use std::io;
use std::sync::Arc;

use tokio::time::timeout;
use tracing::debug;

use crate::connection_limit::Slot;
use crate::context::{Context, Handler};
use crate::log_target;
use crate::peer::Peer;
use crate::stream::Stream;
use crate::tls::HTTP_2;
use crate::{http1, http2, proxy_protocol};

/// Serves one connection, from accept to close.
pub async fn serve<H: Handler>(
    context: &Arc<Context<H>>,
    stream: Stream,
    peer: Peer,
    slot: &Arc<Slot>,
) {
    let opened = tokio::select! {
        biased;
        opened = timeout(context.limits.header_time, open(context, stream, peer)) => opened,
        () = slot.must_end() => return,
    };
    let _open = opened.as_ref().is_ok_and(Result::is_ok).then(|| context.handler.connected());
    match opened {
        Ok(Ok((stream, peer, true))) => http2::serve(context, stream, peer, slot).await,
        Ok(Ok((stream, peer, false))) => http1::serve(context, stream, peer, slot).await,
        // No stranger's noise in the log unless somebody wants to see it.
        Ok(Err(error)) => {
            debug!(target: log_target::CONNECTION, %peer, %error, "connection is not opened");
        }
        Err(_) => {
            debug!(
                target: log_target::CONNECTION,
                %peer,
                "opening the connection takes too long (--header-timeout)"
            );
        }
    }
}

/// The stream, who is at its other end, and whether they speak HTTP/2. Unix sockets have no TLS:
/// what passes there stays on this machine.
async fn open<H>(
    context: &Context<H>,
    mut stream: Stream,
    mut peer: Peer,
) -> io::Result<(Stream, Peer, bool)> {
    let handshake = &context.handshake;
    if handshake.balancers.contains(peer) {
        peer = proxy_protocol::read(&mut stream, peer).await.map_err(|error| {
            io::Error::new(error.kind(), format!("PROXY protocol header: {error}"))
        })?;
    }
    Ok(match (stream, &handshake.tls) {
        (Stream::Tcp(tcp), Some(tls)) => {
            let stream = tls.acceptor(handshake.http2).accept(tcp).await?;
            let is_http2 = stream.get_ref().1.alpn_protocol() == Some(HTTP_2);
            (Stream::Tls(Box::new(stream)), peer, is_http2)
        }
        (stream, _) => (stream, peer, false),
    })
}
