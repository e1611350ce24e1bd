//! `/metrics`, on an address of its own: what it says is not for clients.

use std::fmt;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use apikey_http::connection_limit::Slot;
use apikey_http::context::{Handler, Handshake, Limits};
use apikey_http::host;
use apikey_http::listen::Listener;
use apikey_http::peer::Peer;
use apikey_http::problem::Problem;
use apikey_http::response::{Response, content};
use apikey_http::server::Server;
use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::{Method, Request};
use prometheus_client::encoding::prometheus_text::CONTENT_TYPE;
use tokio::sync::Mutex;
use tokio::time::timeout;
use tracing::debug;
use tracing_appender::non_blocking::ErrorCounter;

use super::metrics::Metrics;
use super::{extension_metrics, log_target};
use crate::keys::client::Client;
use crate::keys::stats::Stats;

/// Prometheus gives up after 10 s by default.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long what is asked of Postgres may take. The rest of the metrics is most wanted when it is
/// away.
const STATS_TIMEOUT: Duration = Duration::from_secs(1);

const LIMITS: Limits = Limits {
    // A Prometheus or two make one scrape each in 15 s or so.
    connections: 8,
    header_bytes: 16 * 1024,
    header_time: TIMEOUT,
    idle_time: TIMEOUT,
    shutdown: Duration::ZERO,
};

struct Exporter {
    keys: Arc<Client>,
    metrics: Arc<Metrics>,
    lost_log_lines: ErrorCounter,
    /// One scrape at a time costs a connection to Postgres.
    asking: Mutex<()>,
}

/// Serves until it is dropped.
pub async fn run(
    listener: Listener,
    keys: Arc<Client>,
    metrics: Arc<Metrics>,
    lost_log_lines: ErrorCounter,
) {
    let exporter = Exporter { keys, metrics, lost_log_lines, asking: Mutex::new(()) };
    let server = Server::new(Arc::new(exporter), LIMITS, Handshake::default(), "--metrics-listen");
    server.run(vec![listener], pending()).await;
}

impl Handler for Exporter {
    /// Each connection has one request.
    async fn respond(
        self: &Arc<Self>,
        _: Peer,
        slot: &Slot,
        request: Request<Incoming>,
    ) -> Response {
        let _answering = slot.answering();
        let mut response = match slot.is_rejected() {
            true => Problem::UNAVAILABLE.response(),
            false => self.answer(&request).await.unwrap_or_else(Problem::response),
        };
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        response
    }

    fn refuse(&self, _: Peer, problem: Problem) -> Response {
        problem.response()
    }
}

impl Exporter {
    async fn answer<B>(&self, request: &Request<B>) -> Result<Response, Problem> {
        if !host::is_well_named(request) {
            return Err(Problem::BAD_REQUEST);
        }
        if request.uri().path() != "/metrics" {
            return Err(Problem::NOT_FOUND);
        }
        if ![Method::GET, Method::HEAD].contains(request.method()) {
            return Err(Problem::METHOD_NOT_ALLOWED);
        }
        match self.text().await {
            Ok(text) => Ok(content(CONTENT_TYPE, text)),
            Err(fmt::Error) => Err(Problem::UNAVAILABLE),
        }
    }

    async fn text(&self) -> Result<String, fmt::Error> {
        let stats = self.stats().await;
        let (usage, lost) = (self.keys.usage(), self.lost_log_lines.dropped_lines());
        let mut text = self.metrics.text(&usage, lost as u64, stats.is_some())?;
        if let Some(stats) = stats {
            text += &extension_metrics::text(&stats)?;
        }
        Ok(text)
    }

    async fn stats(&self) -> Option<Stats> {
        let read = async {
            let _alone = self.asking.lock().await;
            self.keys.stats().await
        };
        let stats = match timeout(STATS_TIMEOUT, read).await {
            Ok(Ok(stats)) => stats?,
            Ok(Err(cause)) => {
                debug!(
                    target: log_target::METRICS,
                    %cause,
                    "the extension's counters cannot be read"
                );
                return None;
            }
            Err(_) => return None,
        };
        stats.are_of_the_server().then_some(stats)
    }
}
