//! HTTP/2, for clients that ask for it in the TLS handshake.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http2::Builder;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::time::sleep;
use tracing::debug;

use crate::connection::{HURRY, LINGER, answer};
use crate::peer::Peer;
use crate::places::Place;
use crate::server::{Server, ServerLimits};
use crate::socket::Socket;
use crate::stream::Stream;

/// Requests of one connection that may be in flight together.
const STREAMS: u32 = 100;
/// In bytes, of each stream and of the connection: requests have no bodies that we read.
const WINDOW: u32 = 64 * 1024;

/// Beyond these, h2 counts streams that clients reset (CVE-2023-44487) and pieces of headers (CVE-2024-27316), and
/// hangs up on who overdoes it.
pub fn builder(limits: &ServerLimits) -> Builder<TokioExecutor> {
    let mut http = Builder::new(TokioExecutor::new());
    http.timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX))
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        // A peer that is gone without a word, or has begun a head and does not end it: it cannot answer meanwhile
        // (RFC 9113, 4.3).
        .keep_alive_interval(limits.header_time)
        .keep_alive_timeout(limits.header_time);
    http
}

/// Serves requests until the client leaves, keeps us waiting for too long, or has to end. The end is announced, and
/// says which requests will be answered (GOAWAY), so none is lost.
pub async fn serve(server: &Arc<Server>, stream: Stream, peer: Peer, place: &Arc<Place>) {
    let service = service_fn(|request: Request<Incoming>| {
        let (server, place) = (server.clone(), place.clone());
        async move { Ok::<_, Infallible>(answer(&server, peer, &place, &request).await) }
    });
    let io = TokioIo::new(Socket::new(stream, server.limits.header_time));
    let mut connection = pin!(server.http2.serve_connection(io, service));
    let mut is_ending = false;
    loop {
        let patience = match is_ending {
            true if place.is_gone() => HURRY,
            true => LINGER,
            // It may change meanwhile.
            false => time_left(place, &server.limits).min(server.limits.idle_time),
        };
        tokio::select! {
            biased;
            outcome = connection.as_mut() => {
                if let Err(error) = outcome {
                    debug!(%error, "connection ends");
                }
                return;
            }
            () = place.told() => {}
            () = sleep(patience) => match is_ending {
                true if place.waits_for() >= Some(patience) => return,
                false if time_left(place, &server.limits).is_zero() => {}
                _ => continue,
            }
        }
        is_ending = true;
        connection.as_mut().graceful_shutdown();
    }
}

/// For how much longer a client without a request in flight is waited for.
fn time_left(place: &Place, limits: &ServerLimits) -> Duration {
    let usual = if place.has_asked() { limits.idle_time } else { limits.header_time };
    let patience = if place.is_turned_away() { LINGER.min(usual) } else { usual };
    patience.saturating_sub(place.waits_for().unwrap_or_default())
}
