//! The log on standard error: text for people, JSON for programs.

use std::io::{self, BufWriter, IsTerminal};

use clap::ValueEnum;
use tracing::level_filters::LevelFilter;
use tracing::subscriber::{SetGlobalDefaultError, set_global_default};
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::{Targets, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{Layer, Registry, fmt};

use super::log_target;

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

/// What a filter can name. A test looks that each line of the code names one.
const TARGETS: &[&str] = &[
    log_target::PROGRAM,
    #[cfg(feature = "admin")]
    apikey_admin::log_target::ADMIN,
    apikey_http::log_target::CONNECTION,
    apikey_postgres::log_target::DATABASE,
    log_target::METRICS,
    log_target::REQUEST,
    apikey_http::log_target::SERVER,
];

/// Levels, and levels for some targets, as `warn,apikey_shim::connection=debug`: what is not named
/// has the default, so that nothing is silenced but by `off`. Lines of requests only where they are
/// asked for, by the flag or by name.
pub fn filter(directives: &str, with_requests: bool) -> Result<Targets, String> {
    let requests = if with_requests { LevelFilter::INFO } else { LevelFilter::OFF };
    let mut filter = Targets::new().with_default(LevelFilter::INFO);
    filter = filter.with_target(log_target::REQUEST, requests);
    for directive in directives.split(',').map(str::trim).filter(|directive| !directive.is_empty())
    {
        filter = match directive.split_once('=') {
            None => filter.with_default(level(directive)?),
            Some((name, text)) => filter.with_target(target(name.trim())?, level(text.trim())?),
        };
    }
    Ok(filter)
}

/// In any case, and by syslog's names, too.
fn level(text: &str) -> Result<LevelFilter, String> {
    Ok(match text.to_ascii_lowercase().as_str() {
        "off" => LevelFilter::OFF,
        "error" | "err" => LevelFilter::ERROR,
        "warn" | "warning" => LevelFilter::WARN,
        "info" => LevelFilter::INFO,
        "debug" => LevelFilter::DEBUG,
        "trace" => LevelFilter::TRACE,
        _ => {
            return Err(format!(
                "{text:?} is no level; there are off, error, warn, info, debug and trace"
            ));
        }
    })
}

fn target(name: &str) -> Result<&str, String> {
    let is_of = |known: &str| known == name || known.starts_with(&format!("{name}::"));
    if TARGETS.iter().any(|known| is_of(known)) {
        return Ok(name);
    }
    Err(format!("nothing is logged by {name:?}; there are {}", TARGETS.join(", ")))
}

/// A thread of its own writes: whoever reads standard error may be slow, and then lines are lost,
/// not requests held up.
pub fn start(filter: Targets, format: LogFormat) -> Result<Log, SetGlobalDefaultError> {
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
    // Our own events alone: at level trace, other crates write what passes through them. Set by
    // hand and not with `init`, which would also collect the records of the `log` crate: at level
    // debug, tokio-postgres writes the parameters of every statement there, keys in clear.
    let ours = filter_fn(|event| event.target().starts_with("apikey_shim"));
    set_global_default(Registry::default().with(lines).with(ours).with(filter))?;
    Ok(Log { _guard: guard, lost })
}

fn text(writer: NonBlocking, is_terminal: bool) -> Box<dyn Layer<Registry> + Send + Sync> {
    fmt::layer().with_ansi(is_terminal).with_writer(writer).boxed()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use tracing::Level;

    use super::*;

    const ELSEWHERE: &str = apikey_http::log_target::SERVER;

    #[test]
    fn levels_are_known_by_their_usual_names() {
        for (text, level) in [
            ("error", Level::ERROR),
            ("err", Level::ERROR),
            ("warn", Level::WARN),
            ("warning", Level::WARN),
            ("WARNING", Level::WARN),
            ("Info", Level::INFO),
            (" debug ", Level::DEBUG),
            ("trace", Level::TRACE),
            ("", Level::INFO),
            (",", Level::INFO),
            ("error,debug", Level::DEBUG),
        ] {
            let filter = filter(text, false).unwrap();
            assert_eq!(filter.default_level(), Some(LevelFilter::from_level(level)), "{text:?}");
        }
        assert!(!filter("off", false).unwrap().would_enable(ELSEWHERE, &Level::ERROR));
    }

    #[test]
    fn what_is_not_named_is_not_silenced() {
        let filter = filter("apikey_shim::connection=debug", false).unwrap();
        assert!(filter.would_enable("apikey_shim::connection", &Level::DEBUG));
        assert!(filter.would_enable(ELSEWHERE, &Level::INFO));
        assert!(!filter.would_enable(ELSEWHERE, &Level::DEBUG));
        assert!(!filter.would_enable(log_target::REQUEST, &Level::ERROR));
    }

    #[test]
    fn requests_are_asked_for_by_the_flag_or_by_name() {
        for (text, with_requests) in
            [("warn", true), ("off", true), ("apikey_shim::request=info", false)]
        {
            let filter = filter(text, with_requests).unwrap();
            assert!(filter.would_enable(log_target::REQUEST, &Level::INFO), "{text}");
        }
    }

    #[test]
    fn a_filter_that_would_do_nothing_is_no_filter() {
        for text in [
            "warnn",
            "5",
            "info warn",
            "apikey_shim",
            "hyper=debug",
            "tokio_postgres=debug",
            "apikey=info",
            "apikey_shim::databse=debug",
            "apikey_shim::conn=debug",
            "apikey_shim=loud",
            "apikey_shim=",
            "=info",
            "[request]=info",
            "apikey_shim::server=info=debug",
        ] {
            assert!(filter(text, false).is_err(), "{text}");
        }
    }

    /// A line without would be filtered by its module's path, or be silent. The program's own
    /// target is the path of `lib`.
    #[test]
    fn each_line_names_its_target() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut lines = 0;
        for source in ["src", "admin/src", "http/src", "postgres/src"] {
            look(&root.join(source), &mut lines);
        }
        assert!(lines > 20, "{lines}");
    }

    fn look(directory: &Path, lines: &mut u32) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                look(&path, lines);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            for level in ["error", "warn", "info", "debug", "trace"] {
                for rest in text.split(&format!(" {level}!(")).skip(1) {
                    let is_named = rest.trim_start().starts_with("target: log_target::");
                    assert!(is_named || path.ends_with("src/lib.rs"), "{path:?}: {rest:.60}");
                    *lines += 1;
                }
            }
        }
    }
}
