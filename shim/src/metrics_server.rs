//! `/metrics`, on an address of its own: what it says is not for clients.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use prometheus_client::encoding::prometheus_text::CONTENT_TYPE;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, Semaphore};
use tokio::time::{sleep, timeout};
use tracing::debug;
use tracing_appender::non_blocking::ErrorCounter;

use crate::extension_stats::Stats;
use crate::problem::{Answer, Problem, content};
use crate::routes::App;

/// Scrapes at once; a Prometheus or two make one each in 15 s or so.
const CONNECTIONS: usize = 8;
/// For a whole connection, which has one request. Prometheus gives up after 10 s by default.
const PATIENCE: Duration = Duration::from_secs(10);
/// For what is asked of Postgres. The rest of the metrics is most wanted when it is away.
const STATS_PATIENCE: Duration = Duration::from_secs(1);

struct Exporter {
    app: Arc<App>,
    lost_log_lines: ErrorCounter,
    /// One scrape at a time costs a connection to Postgres.
    asking: Mutex<()>,
}

/// Serves until it is dropped.
pub async fn run(listener: TcpListener, app: Arc<App>, lost_log_lines: ErrorCounter) {
    let exporter = Arc::new(Exporter { app, lost_log_lines, asking: Mutex::new(()) });
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    while let Ok(slot) = slots.clone().acquire_owned().await {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors, perhaps, of which the server proper tells.
            sleep(Duration::from_millis(100)).await;
            continue;
        };
        let exporter = exporter.clone();
        tokio::spawn(async move {
            let _ = timeout(PATIENCE, serve(exporter, stream)).await;
            drop(slot);
        });
    }
}

async fn serve(exporter: Arc<Exporter>, stream: TcpStream) {
    let service = service_fn(|request: Request<Incoming>| {
        let exporter = exporter.clone();
        async move { Ok::<_, Infallible>(exporter.answer(&request).await) }
    });
    let http =
        http1::Builder::new().keep_alive(false).serve_connection(TokioIo::new(stream), service);
    if let Err(error) = http.await {
        debug!(%error, "a reader of metrics leaves");
    }
}

impl Exporter {
    async fn answer<B>(&self, request: &Request<B>) -> Answer {
        if request.uri().path() != "/metrics" {
            return Problem::NotFound.answer();
        }
        if ![Method::GET, Method::HEAD].contains(request.method()) {
            return Problem::MethodNotAllowed.answer();
        }
        match self.text().await {
            Ok(text) => content(CONTENT_TYPE, text),
            Err(fmt::Error) => Problem::Unavailable.answer(),
        }
    }

    async fn text(&self) -> Result<String, fmt::Error> {
        let stats = self.stats().await;
        let (usage, lost) = (self.app.database.usage(), self.lost_log_lines.dropped_lines());
        let mut text = self.app.metrics.text(&usage, lost as u64, stats.is_some())?;
        if let Some(stats) = stats {
            text += &stats.text()?;
        }
        Ok(text)
    }

    async fn stats(&self) -> Option<Stats> {
        let read = async {
            let _alone = self.asking.lock().await;
            self.app.database.stats().await
        };
        let stats = match timeout(STATS_PATIENCE, read).await {
            Ok(Ok(stats)) => stats?,
            Ok(Err(cause)) => {
                debug!(%cause, "the extension's counters cannot be read");
                return None;
            }
            Err(_) => return None,
        };
        stats.are_of_the_server().then_some(stats)
    }
}
