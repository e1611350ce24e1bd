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
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tokio::time::timeout;
use tracing::debug;
use tracing_appender::non_blocking::ErrorCounter;

use crate::extension_stats::Stats;
use crate::host;
use crate::listener::Listener;
use crate::places::{Place, Places};
use crate::problem::{Answer, Problem, content};
use crate::routes::App;
use crate::stream::Stream;

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
    let (listener, places) =
        (Listener::from(listener), Places::new(CONNECTIONS, Duration::ZERO, "--metrics-listen"));
    loop {
        let (stream, _, place) = listener.admit(&places).await;
        let exporter = exporter.clone();
        tokio::spawn(async move {
            tokio::select! {
                _ = timeout(PATIENCE, serve(&exporter, stream, &place)) => {}
                () = place.taken() => {}
            }
        });
    }
}

async fn serve(exporter: &Exporter, stream: Stream, place: &Place) {
    let service = service_fn(|request: Request<Incoming>| async move {
        let _answering = place.answering();
        let answer = match place.is_turned_away() {
            true => Problem::Unavailable.answer(),
            false => exporter.answer(&request).await,
        };
        Ok::<_, Infallible>(answer)
    });
    let http =
        http1::Builder::new().keep_alive(false).serve_connection(TokioIo::new(stream), service);
    if let Err(error) = http.await {
        debug!(%error, "a reader of metrics leaves");
    }
}

impl Exporter {
    async fn answer<B>(&self, request: &Request<B>) -> Answer {
        if !host::is_well_named(request) {
            return Problem::BadRequest.answer();
        }
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
