//! A stream as hyper sees it. It bounds how long a client may refuse to read, knows since when one
//! is sending a head, and holds back the bare heads with which hyper itself answers what it cannot
//! parse, so that the client gets a response like all the others.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use crate::stream::Stream;

pub struct Io {
    stream: Stream,
    write_timeout: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
    held_back: bool,
    /// When the first byte after the last response came.
    begun: Option<Instant>,
    unread: Bytes,
}

impl Io {
    pub fn new(stream: Stream, write_timeout: Duration) -> Self {
        let unread = Bytes::new();
        Self { stream, write_timeout, stalled: None, held_back: false, begun: None, unread }
    }

    /// Gives bytes back that hyper has read and made nothing of, for its next reader.
    pub fn unread(&mut self, bytes: Bytes) {
        self.unread = bytes;
    }

    /// For how long the client has been sending what it began after the last response.
    pub fn begun(&self) -> Option<Duration> {
        self.begun.map(|begun| begun.elapsed())
    }

    /// Whether the client does not read what it was sent.
    pub fn is_stalled(&self) -> bool {
        self.stalled.is_some()
    }

    /// Whether hyper wanted to send an error of its own, and did not.
    pub fn held_back(&self) -> bool {
        self.held_back
    }

    /// The stream without hyper: from here on, everything is sent.
    pub fn into_stream(self) -> Stream {
        self.stream
    }
}

/// Whether a part of a request is here. Empty lines before a request are no beginning of one (RFC
/// 9112, 2.2).
pub fn is_beginning(bytes: &[u8]) -> bool {
    bytes.iter().any(|byte| !b"\r\n".contains(byte))
}

/// hyper 1 writes `HTTP/1.1 4xx`, `connection: close`, `content-length: 0` and `date`, and has no
/// hook for it (proto/h1/role.rs, `on_error`). Every response of ours has `no-store` in
/// its head.
fn is_bare_error(written: &[u8]) -> bool {
    let is_error = written.starts_with(b"HTTP/1.") && written.get(9) == Some(&b'4');
    is_error && !written.windows(8).any(|part| part == b"no-store")
}

impl AsyncRead for Io {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.unread.has_remaining() {
            let length = self.unread.len().min(buffer.remaining());
            buffer.put_slice(&self.unread.split_to(length));
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let outcome = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if self.begun.is_none() && is_beginning(&buffer.filled()[before..]) {
            self.begun = Some(Instant::now());
        }
        outcome
    }
}

/// No vectored writes, so that hyper hands over each response in one piece.
impl AsyncWrite for Io {
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
        this.begun = None;
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
