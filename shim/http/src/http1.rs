//! One connection with HTTP/1, to its close.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::pin;
use std::time::{Duration, SystemTime};

use http_body_util::BodyExt;
use hyper::header;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};
use tracing::debug;

use crate::connection_limit::Slot;
use crate::context::{Context, Handler, Limits};
use crate::io::{Io, is_beginning};
use crate::log_target;
use crate::peer::Peer;
use crate::problem::Problem;
use crate::response::Response;
use crate::stream::Stream;

/// After our last byte, a client gets this long to read it and to hang up.
pub const LINGER: Duration = Duration::from_secs(1);
pub const HURRY: Duration = Duration::from_millis(10);
/// In bytes: what is read, and thrown away, meanwhile.
const LINGER_BYTES: u64 = 256 * 1024;

/// Serves requests until the client leaves, breaks the rules, or has to end.
///
/// hyper has one limit for the head of a request and for the time before it, which is the shorter
/// of ours. When it is reached and the client has more time, another connection of hyper's goes on
/// with the socket: that of an idle client, which has nothing else, or of one whose head is on its
/// way.
pub async fn serve<H: Handler>(context: &Context<H>, stream: Stream, peer: Peer, slot: &Slot) {
    let limits = &context.limits;
    let mut io = Io::new(stream, limits.header_time);
    let service = service_fn(|request| {
        let response = context.respond(peer, slot, request);
        Box::pin(async { Ok::<_, Infallible>(response.await) })
    });
    let mut head_timeout = limits.header_time.min(limits.idle_time);
    let mut must_end = pin!(slot.must_end());
    let mut is_ending = false;

    let (outcome, unparsed) = loop {
        let mut http = context.http1.clone();
        http.header_read_timeout(head_timeout);
        let mut connection = http.serve_connection(TokioIo::new(io), service);
        let outcome = {
            let mut ending = poll_fn(|cx| connection.poll_without_shutdown(cx));
            tokio::select! {
                // First, because a request may have come in the same moment.
                biased;
                outcome = &mut ending => Some(outcome),
                () = &mut must_end => {
                    is_ending = true;
                    match slot.is_answering() {
                        true => Some(ending.await),
                        false => None,
                    }
                }
            }
        };
        let parts = connection.into_parts();
        io = parts.io.into_inner();
        let is_timeout = matches!(&outcome, Some(Err(error)) if error.is_timeout());
        match more_time(limits, slot, &io, &parts.read_buf) {
            Some(time) if is_timeout && !is_ending => {
                head_timeout = time.min(limits.header_time).min(limits.idle_time);
            }
            _ => break (outcome, parts.read_buf),
        }
        io.unread(parts.read_buf);
    };
    let problem = match outcome {
        None => is_beginning(&unparsed).then_some(Problem::UNAVAILABLE),
        Some(Ok(())) => None,
        Some(Err(error)) => {
            debug!(target: log_target::CONNECTION, %error, "connection ends");
            unanswered(&error, io.held_back(), &unparsed)
        }
    };
    let last = problem.map(|problem| context.handler.refuse(peer, problem));
    // The bound is for all of it: a client that neither reads nor leaves. When another connection
    // wants the slot, or has it, there is no time.
    slot.set_idle();
    let hurry = async {
        slot.evicted().await;
        sleep(HURRY).await;
    };
    tokio::select! {
        _ = timeout(LINGER, close(io.into_stream(), last)) => {}
        () = hurry => {}
    }
}

/// What is still owed to a client whose request never became one.
fn unanswered(error: &hyper::Error, held_back: bool, unparsed: &[u8]) -> Option<Problem> {
    if error.is_timeout() {
        // One that is idle is just closed.
        return is_beginning(unparsed).then_some(Problem::HEAD_TIMEOUT);
    }
    if !held_back && !error.is_parse_version_h2() {
        return None;
    }
    Some(match error.is_parse_too_large() {
        true if unparsed.contains(&b'\n') => Problem::HEAD_TOO_LARGE,
        true => Problem::URI_TOO_LONG,
        false => Problem::BAD_REQUEST,
    })
}

/// What is left to a client: for the head that it has begun, maybe together with the request
/// before, or for a new one. The first head has to be there in time, from the first moment.
fn more_time(limits: &Limits, slot: &Slot, io: &Io, unparsed: &[u8]) -> Option<Duration> {
    let waited = slot.waits_for().filter(|_| !io.is_stalled())?;
    let left = match is_beginning(unparsed) {
        _ if !slot.has_asked() => limits.header_time.saturating_sub(waited),
        true => limits.header_time.saturating_sub(io.begun().unwrap_or(waited)),
        false => limits.idle_time.saturating_sub(waited),
    };
    (!left.is_zero()).then_some(left)
}

/// Closing a socket that has unread bytes resets it, and the reset may overtake what was sent
/// last (RFC 9112, 9.6): say goodbye, then read on for a moment.
async fn close(mut stream: Stream, last_response: Option<Response>) -> std::io::Result<()> {
    if let Some(response) = last_response {
        stream.write_all(&serialized(response).await).await?;
    }
    stream.shutdown().await?;
    let mut rest = stream.take(LINGER_BYTES);
    let mut buffer = [0; 4096];
    while rest.read(&mut buffer).await? > 0 {}
    Ok(())
}

/// HTTP/1.1 by hand, for the responses that hyper cannot be asked to give.
async fn serialized(response: Response) -> Vec<u8> {
    let (head, body) = response.into_parts();
    let Ok(body) = body.collect().await.map(|body| body.to_bytes());
    let mut bytes = format!("HTTP/1.1 {}\r\n", head.status).into_bytes();
    for (name, value) in &head.headers {
        bytes.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    let date = httpdate::fmt_http_date(SystemTime::now());
    let framing = format!(
        "{}: close\r\n{}: {}\r\n{}: {date}\r\n\r\n",
        header::CONNECTION,
        header::CONTENT_LENGTH,
        body.len(),
        header::DATE,
    );
    bytes.extend(framing.into_bytes());
    bytes.extend(body);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_serialized_response_is_complete() {
        let text = String::from_utf8(serialized(Problem::HEAD_TOO_LARGE.response()).await).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 431 Request Header Fields Too Large\r\n"));
        for line in [
            "content-type: application/problem+json",
            "cache-control: no-store",
            "connection: close",
            &format!("content-length: {}", body.len()),
        ] {
            assert!(head.contains(line), "{line}");
        }
        assert!(body.contains("\"status\":431"));
    }
}
