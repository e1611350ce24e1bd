//! The log on standard error: text for people, JSON for programs.

use std::io::{self, BufWriter, IsTerminal};

use clap::ValueEnum;
use tracing::subscriber::{SetGlobalDefaultError, set_global_default};
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt};

use crate::observed;

/// Lines that wait to be written, at most: some megabytes.
const WAITING_LINES: usize = 8192;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Text on a terminal, else JSON
    Auto,
    Text,
    Json,
}

/// Writes what waits when it is dropped.
pub struct Log {
    _guard: WorkerGuard,
    pub lost: ErrorCounter,
}

/// Lines of requests only where they are asked for, by the flag or by name.
pub fn filter(directives: &str, with_requests: bool) -> Result<EnvFilter, String> {
    let requests = if with_requests { "info" } else { "off" };
    EnvFilter::try_new(format!("{}={requests},{directives}", observed::TARGET))
        .map_err(|error| error.to_string())
}

/// A thread of its own writes: whoever reads standard error may be slow, and then lines are lost, not requests held up.
pub fn start(filter: EnvFilter, format: LogFormat) -> Result<Log, SetGlobalDefaultError> {
    let (writer, guard) = NonBlockingBuilder::default()
        .buffered_lines_limit(WAITING_LINES)
        .thread_name("log")
        // Flushed when nothing waits any more.
        .finish(BufWriter::new(io::stderr()));
    let lost = writer.error_counter();
    let is_terminal = io::stderr().is_terminal();
    let lines: Box<dyn Layer<_> + Send + Sync> = match format {
        LogFormat::Auto if is_terminal => text(writer, true),
        LogFormat::Text => text(writer, is_terminal),
        LogFormat::Auto | LogFormat::Json => fmt::layer()
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .with_writer(writer)
            .boxed(),
    };
    // Our own events alone: at level trace, other crates write what passes through them. Set by hand and not with
    // `init`, which would also collect the records of the `log` crate: at level debug, tokio-postgres writes the
    // parameters of every statement there, keys in clear.
    let ours = filter_fn(|event| event.target().starts_with("apikey_shim"));
    set_global_default(Registry::default().with(lines).with(ours).with(filter))?;
    Ok(Log { _guard: guard, lost })
}

fn text(writer: NonBlocking, is_terminal: bool) -> Box<dyn Layer<Registry> + Send + Sync> {
    fmt::layer().with_ansi(is_terminal).with_writer(writer).boxed()
}
