//! Accepting connections, up to a bound, until told to stop.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::{http1, http2 as hyper_http2};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use crate::http2;
use crate::listener::Listener;
use crate::opening;
use crate::peer::Peer;
use crate::peers::Peers;
use crate::places::Places;
use crate::routes::App;
use crate::server_tls::ServerTls;
use crate::stream::Stream;

/// After SIGTERM, for connections that are being made: their last packet is on the way.
const LAST_ARRIVALS: Duration = Duration::from_millis(200);
/// After SIGTERM, for a request on a connection that was idle.
const LAST_REQUESTS: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug)]
pub struct ServerLimits {
    pub connections: u32,
    pub header_bytes: usize,
    pub header_time: Duration,
    pub shutdown: Duration,
}

/// What comes before HTTP.
pub struct Doors {
    /// Who has to say whose bytes they pass on (PROXY protocol).
    pub balancers: Peers,
    pub tls: Option<Arc<ServerTls>>,
}

/// What all connections share.
pub struct Server {
    pub app: Arc<App>,
    pub limits: ServerLimits,
    pub doors: Doors,
    pub http1: http1::Builder,
    pub http2: hyper_http2::Builder<TokioExecutor>,
    pub places: Arc<Places>,
}

impl Server {
    pub fn new(app: Arc<App>, limits: ServerLimits, doors: Doors) -> Arc<Self> {
        let grace = LAST_REQUESTS.min(limits.shutdown / 2);
        let places = Places::new(limits.connections as usize, grace);
        let (http1, http2) = (http1(&limits), http2::builder(&limits));
        Arc::new(Self { app, limits, doors, http1, http2, places })
    }

    /// Serves until `stop` resolves, then lets what is in flight finish.
    pub async fn run(self: Arc<Self>, listeners: Vec<Listener>, stop: impl Future<Output = ()>) {
        let (stopping, told) = watch::channel(false);
        let mut accepting = JoinSet::new();
        for listener in listeners {
            accepting.spawn(self.clone().accept_until(listener, told.clone()));
        }
        stop.await;
        self.places.stop();
        info!(open = self.places.open(), "stopping");
        stopping.send_replace(true);
        let all_end = async {
            while accepting.join_next().await.is_some() {}
            self.places.empty().await;
        };
        if timeout(self.limits.shutdown, all_end).await.is_err() {
            warn!(open = self.places.open(), "connections cut off (--shutdown-timeout)");
        }
    }

    async fn accept_until(self: Arc<Self>, listener: Listener, mut told: watch::Receiver<bool>) {
        tokio::select! {
            () = self.accept(&listener) => {}
            _ = told.wait_for(|stop| *stop) => {}
        }
        if listener.retire() {
            let moment = LAST_ARRIVALS.min(self.limits.shutdown / 4);
            let _ = timeout(moment, self.accept(&listener)).await;
        }
    }

    /// Until it is dropped, which loses nobody: between accepting and serving there is nothing to wait for.
    async fn accept(self: &Arc<Self>, listener: &Listener) {
        loop {
            self.places.room().await;
            let (stream, peer) = next(listener).await;
            self.serve(stream, peer);
        }
    }

    fn serve(self: &Arc<Self>, stream: Stream, peer: Peer) {
        let (server, place) = (self.clone(), Arc::new(self.places.enter()));
        tokio::spawn(async move { opening::serve(&server, stream, peer, &place).await });
    }
}

fn http1(limits: &ServerLimits) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        // From the first moment of a connection, and from the end of each answer.
        .header_read_timeout(limits.header_time)
        .max_header_size(limits.header_bytes)
        .max_buf_size(limits.header_bytes)
        // A client may close its sending side and still wait for the answer.
        .half_close(true);
    http
}

/// Errors of accept(2) are about one client, or pass: they never end the server.
async fn next(listener: &Listener) -> (Stream, Peer) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) if is_of_one_client(&error) => {}
            Err(error) => {
                // Out of descriptors or memory: the waiting client stays ready, so without a
                // pause this would spin.
                warn!(%error, "cannot accept connections");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

fn is_of_one_client(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset)
}
