//! What all connections of a server share.

use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::server::conn::{http1, http2};
use hyper::{Request, Version};
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::connection_limit::{ConnectionLimit, Slot};
use crate::peer::{Peer, PeerSet};
use crate::problem::Problem;
use crate::response::Response;
use crate::tls::ServerTls;

/// How long a request may take to come at the end on a connection that was idle.
const LAST_REQUESTS: Duration = Duration::from_secs(1);

/// Requests of one connection that may be in flight together.
const STREAMS: u32 = 100;
/// In bytes, of each stream and of the connection: requests have no bodies that we read.
const WINDOW: u32 = 64 * 1024;

/// What a server answers.
pub trait Handler: Send + Sync + 'static {
    /// The response to a request. `slot.answering()` says from when on the client does not keep us
    /// waiting any more; a rejected slot gets no more than a 503.
    fn respond(
        self: &Arc<Self>,
        peer: Peer,
        slot: &Slot,
        request: Request<Incoming>,
    ) -> impl Future<Output = Response> + Send;

    /// The response to bytes that never became a request.
    fn refuse(&self, peer: Peer, problem: Problem) -> Response;

    /// A guard that is held for as long as a connection is open.
    fn connected(&self) -> impl Send {}
}

#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub connections: u32,
    pub header_bytes: usize,
    /// How long a client may take to send a head, or to read a response.
    pub header_time: Duration,
    /// How long a client may be silent between two requests.
    pub idle_time: Duration,
    /// How long the last requests may take after `stop`.
    pub shutdown: Duration,
}

/// What comes before HTTP.
#[derive(Clone, Default)]
pub struct Handshake {
    /// Who has to say whose bytes they pass on (PROXY protocol).
    pub balancers: PeerSet,
    pub tls: Option<Arc<ServerTls>>,
    /// Whether clients may choose HTTP/2.
    pub http2: bool,
}

pub struct Context<H> {
    pub handler: Arc<H>,
    pub limits: Limits,
    pub handshake: Handshake,
    pub http1: http1::Builder,
    pub http2: http2::Builder<TokioExecutor>,
    pub connections: Arc<ConnectionLimit>,
}

impl<H: Handler> Context<H> {
    /// `name` is the setting that bounds the connections, for the log.
    pub fn new(
        handler: Arc<H>,
        limits: Limits,
        handshake: Handshake,
        name: &'static str,
    ) -> Arc<Self> {
        let idle_grace = LAST_REQUESTS.min(limits.shutdown / 2);
        let connections = ConnectionLimit::new(limits.connections as usize, idle_grace, name);
        let (http1, http2) = (http1_builder(&limits), http2_builder(&limits));
        Arc::new(Self { handler, limits, handshake, http1, http2, connections })
    }

    pub async fn respond(&self, peer: Peer, slot: &Slot, request: Request<Incoming>) -> Response {
        let version = request.version();
        let mut response = self.handler.respond(peer, slot, request).await;
        // HTTP/2 has another way to say it.
        if slot.is_ending() && version < Version::HTTP_2 {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// All but the time that a client has, which changes with what it does.
fn http1_builder(limits: &Limits) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .max_header_size(limits.header_bytes)
        .max_buf_size(limits.header_bytes)
        // A client may close its sending side and still wait for the response.
        .half_close(true);
    http
}

/// Beyond these, h2 counts streams that clients reset (CVE-2023-44487) and pieces of headers
/// (CVE-2024-27316), and hangs up on who overdoes it.
fn http2_builder(limits: &Limits) -> http2::Builder<TokioExecutor> {
    let mut http = http2::Builder::new(TokioExecutor::new());
    http.timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX))
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        // A peer that is gone without a word, or has begun a head and does not end it: it cannot
        // answer meanwhile (RFC 9113, 4.3).
        .keep_alive_interval(limits.header_time)
        .keep_alive_timeout(limits.header_time);
    http
}
