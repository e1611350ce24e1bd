//! What the shim counts, in Prometheus's terms. Each label has a fixed set of values: nothing that
//! a client sends makes a new series.

use std::fmt::Debug;
use std::sync::atomic::Ordering;
use std::time::Duration;

use prometheus_client::encoding::prometheus_text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::TypedMetric;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::keys::client::Usage;
use crate::keys::error::Kind;
use crate::keys::refusal::Refusal;

/// In seconds. The check of a known key takes a fraction of a millisecond, the first one of a key
/// some 20 ms; the limits on waiting are by default 1 s and 5 s.
const BUCKETS: [f64; 14] =
    [0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];

/// One label and its value.
pub type Label = [(&'static str, &'static str); 1];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    route: &'static str,
    method: &'static str,
    status: u16,
}

pub struct Metrics {
    registry: Registry,
    requests: Family<Answered, Counter>,
    durations: Family<Label, Histogram, fn() -> Histogram>,
    abandoned: Family<Label, Counter>,
    in_flight: Gauge,
    refusals: Family<Label, Counter>,
    connections: Gauge,
    database_errors: Family<Label, Counter>,
    pool: Family<Label, Gauge>,
    waiting: Gauge,
    slow: Family<Label, Gauge>,
    with_stats: Gauge,
    lost_log_lines: Counter,
}

impl Metrics {
    pub fn new(max_connections: u32, pool_size: u32) -> Self {
        let mut all = Registry::with_prefix("apikey");
        let durations = Family::new_with_constructor((|| Histogram::new(BUCKETS)) as fn() -> _);
        all.register(
            "http_request_duration_seconds",
            "From a request's head to its answer",
            durations.clone(),
        );
        let build: Family<Label, Gauge> = add(&mut all, "build_info", "The shim's version");
        build.get_or_create(&[("version", env!("CARGO_PKG_VERSION"))]).set(1);
        let most: Gauge = add(&mut all, "http_connections_max", "Clients at once, at most");
        most.set(max_connections.into());
        let most: Gauge = add(&mut all, "pool_connections_max", "Connections to Postgres, at most");
        most.set(pool_size.into());
        let metrics = Self {
            requests: add(&mut all, "http_requests", "Requests that were answered"),
            durations,
            abandoned: add(
                &mut all,
                "http_requests_abandoned",
                "Requests whose client left before the answer",
            ),
            in_flight: add(&mut all, "http_requests_in_flight", "Requests without an answer yet"),
            refusals: add(&mut all, "refusals", "Requests whose key was refused"),
            connections: add(&mut all, "http_connections", "Open connections of clients"),
            database_errors: add(
                &mut all,
                "database_errors",
                "Requests that the database did not answer",
            ),
            pool: add(&mut all, "pool_connections", "Open connections to Postgres"),
            waiting: add(
                &mut all,
                "pool_waiting_requests",
                "Requests that wait to be sent to Postgres",
            ),
            slow: add(
                &mut all,
                "slow_hash_places",
                "Keys that take a slow hash: those that have a place, and those that wait for one",
            ),
            with_stats: add(
                &mut all,
                "postgres_stats_up",
                "Whether the extension's own counters could be read",
            ),
            lost_log_lines: add(
                &mut all,
                "log_lines_lost",
                "Lines that were not written because standard error is too slow",
            ),
            registry: all,
        };
        metrics.start_at_zero();
        metrics
    }

    /// A series that begins with its first event hides that event from `rate()`.
    fn start_at_zero(&self) {
        for refusal in Refusal::ALL {
            drop(self.refusals.get_or_create(&[("reason", refusal.name())]));
        }
        for kind in Kind::ALL {
            drop(self.database_errors.get_or_create(&[("kind", kind.name())]));
        }
    }

    pub fn begun(&self) {
        self.in_flight.inc();
    }

    pub fn answered(
        &self,
        route: &'static str,
        method: &'static str,
        status: u16,
        elapsed: Duration,
    ) {
        self.requests.get_or_create(&Answered { route, method, status }).inc();
        self.durations.get_or_create(&[("route", route)]).observe(elapsed.as_secs_f64());
    }

    pub fn abandoned(&self, route: &'static str) {
        self.abandoned.get_or_create(&[("route", route)]).inc();
    }

    /// Follows each `begun`, whatever became of the request.
    pub fn ended(&self) {
        self.in_flight.dec();
    }

    pub fn refused(&self, refusal: Refusal) {
        self.refusals.get_or_create(&[("reason", refusal.name())]).inc();
    }

    pub fn unavailable(&self, kind: Kind) {
        self.database_errors.get_or_create(&[("kind", kind.name())]).inc();
    }

    /// An open connection, until the guard is dropped.
    pub fn connection(&self) -> impl Drop + use<> {
        self.connections.inc();
        scopeguard::guard(self.connections.clone(), |open| {
            open.dec();
        })
    }

    /// Everything in Prometheus's text format; what is read rather than counted, as it is now.
    pub fn text(
        &self,
        usage: &Usage,
        lost_log_lines: u64,
        with_stats: bool,
    ) -> Result<String, std::fmt::Error> {
        let Usage { in_use, idle, waiting, slow_in_use, slow_waiting } = *usage;
        self.pool.get_or_create(&[("state", "in_use")]).set(in_use);
        self.pool.get_or_create(&[("state", "idle")]).set(idle);
        self.waiting.set(waiting);
        self.slow.get_or_create(&[("state", "in_use")]).set(slow_in_use);
        self.slow.get_or_create(&[("state", "waiting")]).set(slow_waiting);
        self.with_stats.set(with_stats.into());
        self.lost_log_lines.inner().store(lost_log_lines, Ordering::Relaxed);
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// Registers a new metric. Counters are written with `_total` at the end.
pub fn add<M>(registry: &mut Registry, name: &str, help: &str) -> M
where
    M: EncodeMetric + TypedMetric + Default + Clone + Debug + Send + Sync + 'static,
{
    let metric = M::default();
    registry.register(name, help, metric.clone());
    metric
}
