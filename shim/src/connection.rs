//! One connection with HTTP/1, to its close.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::pin;
use std::time::{Duration, SystemTime};

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Version};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};
use tracing::debug;

use crate::peer::Peer;
use crate::places::Place;
use crate::problem::{Answer, Problem};
use crate::server::{Server, ServerLimits};
use crate::socket::{Socket, is_beginning};
use crate::stream::Stream;

/// After our last byte, a client gets this long to read it and to hang up.
pub const LINGER: Duration = Duration::from_secs(1);
pub const HURRY: Duration = Duration::from_millis(10);
/// In bytes: what is read, and thrown away, meanwhile.
const LINGER_BYTES: u64 = 256 * 1024;

/// Serves requests until the client leaves, breaks the rules, or has to end.
pub async fn serve(server: &Server, stream: Stream, peer: Peer, place: &Place) {
    let _open = server.app.metrics.connection();
    let respond =
        |request: Request<Incoming>| async move { answer(server, peer, place, &request).await };
    let socket = Socket::new(stream, server.limits.header_time);
    let refuse = |problem| server.app.refuse(peer, problem);
    converse(&server.http1, &server.limits, socket, place, respond, refuse).await;
}

/// The same with any server's answers, and with its words for requests that never become one.
///
/// hyper has one limit for the head of a request and for the time before it, which is the shorter of ours. When it is
/// reached and the client has more time, another connection of hyper's goes on with the socket: that of an idle
/// client, which has nothing else, or of one whose head is on its way.
pub async fn converse<F: Future<Output = Answer>>(
    http: &http1::Builder,
    limits: &ServerLimits,
    mut socket: Socket,
    place: &Place,
    respond: impl Fn(Request<Incoming>) -> F,
    refuse: impl Fn(Problem) -> Answer,
) {
    let service = service_fn(|request| {
        let answer = respond(request);
        Box::pin(async { Ok::<_, Infallible>(answer.await) })
    });
    let mut patience = limits.header_time.min(limits.idle_time);
    let mut must_end = pin!(place.must_end());
    let mut is_ending = false;

    let (outcome, unparsed) = loop {
        let mut http = http.clone();
        http.header_read_timeout(patience);
        let mut connection = http.serve_connection(TokioIo::new(socket), service);
        let outcome = {
            let mut ending = poll_fn(|cx| connection.poll_without_shutdown(cx));
            tokio::select! {
                // First, because a request may have come in the same moment.
                biased;
                outcome = &mut ending => Some(outcome),
                () = &mut must_end => {
                    is_ending = true;
                    match place.is_answering() {
                        true => Some(ending.await),
                        false => None,
                    }
                }
            }
        };
        let parts = connection.into_parts();
        socket = parts.io.into_inner();
        let is_timeout = matches!(&outcome, Some(Err(error)) if error.is_timeout());
        match more_time(limits, place, &socket, &parts.read_buf) {
            Some(time) if is_timeout && !is_ending => {
                patience = time.min(limits.header_time).min(limits.idle_time);
            }
            _ => break (outcome, parts.read_buf),
        }
        socket.unread(parts.read_buf);
    };
    let problem = match outcome {
        None => is_beginning(&unparsed).then_some(Problem::Unavailable),
        Some(Ok(())) => None,
        Some(Err(error)) => {
            debug!(%error, "connection ends");
            unanswered(&error, socket.held_back(), &unparsed)
        }
    };
    let farewell = close(socket.into_stream(), problem.map(refuse));
    // The bound is for the farewell as a whole: a client that neither reads nor leaves. When somebody else
    // wants its place, or has it, there is no time.
    place.done();
    let hurry = async {
        place.taken().await;
        sleep(HURRY).await;
    };
    tokio::select! {
        _ = timeout(LINGER, farewell) => {}
        () = hurry => {}
    }
}

pub async fn answer(
    server: &Server,
    peer: Peer,
    place: &Place,
    request: &Request<Incoming>,
) -> Answer {
    let _answering = place.answering();
    let mut answer = match place.is_turned_away() {
        true => server.app.refuse(peer, Problem::Unavailable),
        false => server.app.respond(peer, request).await,
    };
    // HTTP/2 has another way to say it.
    if place.is_ending() && request.version() < Version::HTTP_2 {
        answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    answer
}

/// What is still owed to a client whose request never became one.
fn unanswered(error: &hyper::Error, held_back: bool, unparsed: &[u8]) -> Option<Problem> {
    if error.is_timeout() {
        // One that is idle is just closed.
        return is_beginning(unparsed).then_some(Problem::HeadTimeout);
    }
    if !held_back && !error.is_parse_version_h2() {
        return None;
    }
    Some(match error.is_parse_too_large() {
        true if unparsed.contains(&b'\n') => Problem::HeadTooLarge,
        true => Problem::UriTooLong,
        false => Problem::BadRequest,
    })
}

/// What is left to a client: for the head that it has begun, maybe together with the request before, or for
/// a new one. The first head has to be there in time, from the first moment.
fn more_time(
    limits: &ServerLimits,
    place: &Place,
    socket: &Socket,
    unparsed: &[u8],
) -> Option<Duration> {
    let waited = place.waits_for().filter(|_| !socket.is_stalled())?;
    let left = match is_beginning(unparsed) {
        _ if !place.has_asked() => limits.header_time.saturating_sub(waited),
        true => limits.header_time.saturating_sub(socket.begun().unwrap_or(waited)),
        false => limits.idle_time.saturating_sub(waited),
    };
    (!left.is_zero()).then_some(left)
}

/// Closing a socket that has unread bytes resets it, and the reset may overtake what was sent
/// last (RFC 9112, 9.6): say goodbye, then read on for a moment.
async fn close(mut stream: Stream, last: Option<Answer>) -> std::io::Result<()> {
    if let Some(answer) = last {
        stream.write_all(&serialized(answer).await).await?;
    }
    stream.shutdown().await?;
    let mut rest = stream.take(LINGER_BYTES);
    let mut buffer = [0; 4096];
    while rest.read(&mut buffer).await? > 0 {}
    Ok(())
}

/// HTTP/1.1 by hand, for the answers that hyper cannot be asked to give.
async fn serialized(answer: Answer) -> Vec<u8> {
    let (head, body) = answer.into_parts();
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
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[tokio::test]
    async fn a_serialized_answer_is_complete() {
        let text = String::from_utf8(serialized(Problem::HeadTooLarge.answer()).await).unwrap();
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
