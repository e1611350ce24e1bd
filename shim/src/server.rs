//! Accepting connections, up to a bound, until told to stop.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::{http1, http2 as hyper_http2};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::{info, warn};

use crate::http2;
use crate::listener::Listener;
use crate::opening;
use crate::peers::Peers;
use crate::places::Places;
use crate::routes::App;
use crate::server_tls::ServerTls;

/// After SIGTERM, for connections that are being made: their last packet is on the way.
const LAST_ARRIVALS: Duration = Duration::from_millis(200);
/// After SIGTERM, for a request on a connection that was idle.
const LAST_REQUESTS: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug)]
pub struct ServerLimits {
    pub connections: u32,
    pub header_bytes: usize,
    pub header_time: Duration,
    /// Between two requests of a connection.
    pub idle_time: Duration,
    pub shutdown: Duration,
}

impl ServerLimits {
    /// For as many connections; `of` tells the log whose they are.
    pub fn places(&self, of: &'static str) -> Arc<Places> {
        let grace = LAST_REQUESTS.min(self.shutdown / 2);
        Places::new(self.connections as usize, grace, of)
    }
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
        let places = limits.places("--max-connections");
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

    /// Until it is dropped, which loses nobody.
    async fn accept(self: &Arc<Self>, listener: &Listener) {
        loop {
            let (stream, peer, place) = listener.admit(&self.places).await;
            let (server, place) = (self.clone(), Arc::new(place));
            tokio::spawn(async move { opening::serve(&server, stream, peer, &place).await });
        }
    }
}

/// But for the time that a client has, which changes with what it does.
pub fn http1(limits: &ServerLimits) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .max_header_size(limits.header_bytes)
        .max_buf_size(limits.header_bytes)
        // A client may close its sending side and still wait for the answer.
        .half_close(true);
    http
}
