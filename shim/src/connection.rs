//! One connection, from accept to close.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, header};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tracing::debug;

use crate::problem::{Answer, Problem};
use crate::routes::App;
use crate::socket::Socket;

/// After our last byte, a client gets this long to read it and to hang up.
const LINGER: Duration = Duration::from_secs(1);
/// In bytes: what is read, and thrown away, meanwhile.
const LINGER_BYTES: u64 = 256 * 1024;

/// Serves requests until the client leaves, breaks the rules, or `stop` resolves.
pub async fn serve(
    http: &http1::Builder,
    app: Arc<App>,
    stream: TcpStream,
    peer: IpAddr,
    slowness: Duration,
    stop: impl Future<Output = ()>,
) {
    let _open = app.metrics.connection();
    let service = service_fn(|request: Request<Incoming>| {
        let app = app.clone();
        Box::pin(async move { Ok::<_, Infallible>(app.respond(peer, &request).await) })
    });
    let io = TokioIo::new(Socket::new(stream, slowness));
    let mut connection = http.serve_connection(io, service);

    let outcome = tokio::select! {
        outcome = poll_fn(|cx| connection.poll_without_shutdown(cx)) => Some(outcome),
        () = stop => None,
    };
    let outcome = match outcome {
        Some(outcome) => outcome,
        None => {
            Pin::new(&mut connection).graceful_shutdown();
            poll_fn(|cx| connection.poll_without_shutdown(cx)).await
        }
    };

    let parts = connection.into_parts();
    let socket = parts.io.into_inner();
    let problem = outcome.err().and_then(|error| {
        debug!(%error, "connection ends");
        unanswered(&error, socket.held_back(), &parts.read_buf)
    });
    let farewell = close(socket.into_stream(), problem.map(|problem| app.refuse(peer, problem)));
    // The bound is for the farewell as a whole: a client that neither reads nor leaves.
    let _ = timeout(LINGER, farewell).await;
}

/// What is still owed to a client whose request never became one.
fn unanswered(error: &hyper::Error, held_back: bool, unparsed: &[u8]) -> Option<Problem> {
    // Empty lines between requests are no beginning of one (RFC 9112, 2.2).
    let begun = unparsed.iter().any(|byte| !b"\r\n".contains(byte));
    if error.is_timeout() {
        // Without a byte of a request it is an idle connection, which is just closed.
        return begun.then_some(Problem::HeadTimeout);
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

/// Closing a socket that has unread bytes resets it, and the reset may overtake what was sent
/// last (RFC 9112, 9.6): say goodbye, then read on for a moment.
async fn close(mut stream: TcpStream, last: Option<Answer>) -> std::io::Result<()> {
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
