//! HTTP/2, for clients that ask for it in the TLS handshake.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::time::sleep;
use tracing::debug;

use crate::connection_limit::Slot;
use crate::context::{Context, Handler, Limits};
use crate::http1::{HURRY, LINGER};
use crate::io::Io;
use crate::log_target;
use crate::peer::Peer;
use crate::stream::Stream;

/// Serves requests until the client leaves, keeps us waiting for too long, or has to end. The end
/// is announced, and says which requests will be answered (GOAWAY), so none is lost.
pub async fn serve<H: Handler>(
    context: &Arc<Context<H>>,
    stream: Stream,
    peer: Peer,
    slot: &Arc<Slot>,
) {
    let service = service_fn(|request| {
        let (context, slot) = (context.clone(), slot.clone());
        async move { Ok::<_, Infallible>(context.respond(peer, &slot, request).await) }
    });
    let io = TokioIo::new(Io::new(stream, context.limits.header_time));
    let mut connection = pin!(context.http2.serve_connection(io, service));
    let mut is_ending = false;
    loop {
        let limit = match is_ending {
            true if slot.is_evicted() => HURRY,
            true => LINGER,
            // It may change meanwhile.
            false => time_left(slot, &context.limits).min(context.limits.idle_time),
        };
        tokio::select! {
            biased;
            outcome = connection.as_mut() => {
                if let Err(error) = outcome {
                    debug!(target: log_target::CONNECTION, %error, "connection ends");
                }
                return;
            }
            () = slot.shutdown_signal() => {}
            () = sleep(limit) => match is_ending {
                true if slot.waits_for() >= Some(limit) => return,
                false if time_left(slot, &context.limits).is_zero() => {}
                _ => continue,
            }
        }
        is_ending = true;
        connection.as_mut().graceful_shutdown();
    }
}

/// For how much longer a client without a request in flight is waited for.
fn time_left(slot: &Slot, limits: &Limits) -> Duration {
    let usual = if slot.has_asked() { limits.idle_time } else { limits.header_time };
    let limit = if slot.is_rejected() { LINGER.min(usual) } else { usual };
    limit.saturating_sub(slot.waits_for().unwrap_or_default())
}
