//! A stream as hyper sees it. It bounds how long a client may refuse to read, and it holds
//! back the bare heads with which hyper itself answers requests that it cannot parse, so that
//! they can be answered like all the others.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use crate::stream::Stream;

pub struct Socket {
    stream: Stream,
    write_timeout: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
    held_back: bool,
}

impl Socket {
    pub fn new(stream: Stream, write_timeout: Duration) -> Self {
        Self { stream, write_timeout, stalled: None, held_back: false }
    }

    /// Whether hyper wanted to send an error of its own, and did not.
    pub fn held_back(&self) -> bool {
        self.held_back
    }

    /// Without hyper: from here on, everything is sent.
    pub fn into_stream(self) -> Stream {
        self.stream
    }
}

/// hyper 1 writes `HTTP/1.1 4xx`, `connection: close`, `content-length: 0` and `date`, and has no
/// hook for it (proto/h1/role.rs, `on_error`). Every answer of ours has `no-store` in its head.
fn is_bare_error(written: &[u8]) -> bool {
    let is_error = written.starts_with(b"HTTP/1.") && written.get(9) == Some(&b'4');
    is_error && !written.windows(8).any(|part| part == b"no-store")
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

/// Not vectored, so that hyper hands over each answer in one piece.
impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if is_bare_error(bytes) {
            self.held_back = true;
            return Poll::Ready(Ok(bytes.len()));
        }
        let this = self.get_mut();
        if let Poll::Ready(outcome) = Pin::new(&mut this.stream).poll_write(cx, bytes) {
            this.stalled = None;
            return Poll::Ready(outcome);
        }
        let limit = this.write_timeout;
        let stalled = this.stalled.get_or_insert_with(|| Box::pin(sleep(limit)));
        stalled.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::is_bare_error;

    #[test]
    fn only_heads_of_hyper_are_held_back() {
        assert!(is_bare_error(
            b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\n\r\n"
        ));
        assert!(is_bare_error(b"HTTP/1.0 400 Bad Request\r\n\r\n"));
        assert!(!is_bare_error(b"HTTP/1.1 401 Unauthorized\r\ncache-control: no-store\r\n\r\n{}"));
        assert!(!is_bare_error(b"HTTP/1.1 200 OK\r\n\r\n"));
        assert!(!is_bare_error(b"HTTP/1.1 100 Continue\r\n\r\n"));
    }
}
