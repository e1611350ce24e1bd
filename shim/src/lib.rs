//! HTTP in front of `apikey_check` and `apikey_authorize`.
//!
//! A request walks one way: `apikey_http` has its connection and calls `api::router`, which makes a
//! `api::key_request` of it; the question in that goes to `keys::client`, and so by
//! `apikey_postgres` to the database; the answer comes back as a response. `telemetry` looks on,
//! `config` makes all of it from flags, and this file begins and ends it. The admin page is a
//! server of its own beside it, and a crate that the feature `admin` brings.

#![forbid(unsafe_code)]

mod api;
pub mod config;
mod keys;
mod systemd;
mod telemetry;

use std::ffi::OsString;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use apikey_http::connection_limit::MAX_REJECTED;
use apikey_http::listen::{self, Listener};
use apikey_http::server::Server;
use apikey_http::tls::ServerTls;
use listenfd::ListenFd;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{error, info, warn};

use crate::api::state::App;
use crate::config::Settings;
use crate::config::args::{Arguments, without_secrets};
use crate::telemetry::{log, metrics_server};

// Exit statuses of BSD's sysexits.h.
const EX_USAGE: u8 = 64;
const EX_UNAVAILABLE: u8 = 69;
const EX_SOFTWARE: u8 = 70;

/// Why the program ends early, and the status that says so.
struct ExitError(u8, String);

/// The program: from its arguments to its exit status.
pub fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let parsed = match Arguments::parse(arguments.iter().cloned()) {
        Ok(parsed) => parsed,
        Err(error) if !error.use_stderr() => {
            // --help and --version. Nobody is left to tell if standard output is closed.
            let _ = error.print();
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            let message = without_secrets(error.to_string(), &arguments);
            return fail(ExitError(EX_USAGE, message));
        }
    };
    let settings = match Settings::new(parsed) {
        Ok(settings) => settings,
        Err(invalid) => return fail(ExitError(EX_USAGE, format!("error: {invalid}"))),
    };
    match start(settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => fail(failure),
    }
}

fn fail(ExitError(status, message): ExitError) -> ExitCode {
    let _ = writeln!(io::stderr(), "{}", message.trim_end());
    ExitCode::from(status)
}

fn start(settings: Settings) -> Result<(), ExitError> {
    let internal = |error: io::Error| ExitError(EX_SOFTWARE, format!("error: {error}"));
    // Before there are threads: it takes variables out of the environment.
    let passed = ListenFd::from_env();
    let log = log::start(settings.log, settings.log_format)
        .map_err(|error| internal(io::Error::other(error)))?;
    let sockets = u64::from(settings.limits.connections + settings.pool_size);
    #[cfg(feature = "admin")]
    let sockets = sockets + settings.admin.as_ref().map_or(0, apikey_admin::Settings::descriptors);
    raise_descriptor_limit(sockets);

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(half_of_the_processors())
        .enable_all()
        .build()
        .map_err(internal)?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).map_err(internal)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(internal)?;
        let hangup = signal(SignalKind::hangup()).map_err(internal)?;
        let listeners = listen::open(&settings.listen, settings.socket_mode, passed)
            .map_err(|error| ExitError(EX_UNAVAILABLE, format!("error: {error}")))?;
        for listener in &listeners {
            let url = listener.url(settings.handshake.tls.is_some()).map_err(internal)?;
            info!(version = env!("CARGO_PKG_VERSION"), %url, "apikey-shim starts");
            // On standard output for whoever started us with port 0, whatever --log says.
            let _ = writeln!(io::stdout(), "listening on {url}");
        }

        #[cfg(feature = "admin")]
        let admin = settings.admin.map(start_admin).transpose()?;

        let app = Arc::new(settings.app);
        tokio::spawn(greet(app.clone()));
        if let Some(address) = settings.metrics_listen {
            let listener = listen(address)?;
            let url = format!("{}/metrics", listener.url(false).map_err(internal)?);
            info!(url, "metrics can be read");
            let (keys, metrics) = (app.keys.clone(), app.metrics.clone());
            tokio::spawn(metrics_server::run(listener, keys, metrics, log.lost.clone()));
        }
        let stop = async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            systemd::stopping();
        };
        tokio::spawn(reload(settings.handshake.tls.clone(), hangup));
        let server = Server::new(app, settings.limits, settings.handshake, "--max-connections");
        systemd::ready();
        server.run(listeners, stop).await;
        #[cfg(feature = "admin")]
        if let Some(admin) = admin {
            admin.stop().await;
        }
        Ok(())
    })
}

fn listen(address: SocketAddr) -> Result<Listener, ExitError> {
    listen::listen(address).map_err(|error| {
        ExitError(EX_UNAVAILABLE, format!("error: cannot listen on {address}: {error}"))
    })
}

#[cfg(feature = "admin")]
fn start_admin(settings: apikey_admin::Settings) -> Result<apikey_admin::Running, ExitError> {
    let listen = settings.listen;
    let running = apikey_admin::start(settings).map_err(|error| {
        let message = format!("error: cannot listen on {listen} (--admin-listen): {error}");
        ExitError(EX_UNAVAILABLE, message)
    })?;
    if !running.has_tls && !running.address.ip().is_loopback() {
        warn!(address = %running.address, "the admin page is not on loopback: others can reach it, and read what passes by");
    }
    let scheme = if running.has_tls { "https" } else { "http" };
    let url = format!("{scheme}://{}", running.address);
    info!(url, "the admin page starts");
    let _ = writeln!(io::stdout(), "admin on {url}");
    Ok(running)
}

/// Postgres, often on the same machine, has more to do than we. And what one thread does for many
/// requests in turn costs less than threads that wake each other for each.
fn half_of_the_processors() -> usize {
    std::thread::available_parallelism().map_or(1, |processors| processors.get().div_ceil(2))
}

/// Says early whether the database can be used. A server that comes up before its database is no
/// error: every request tries again.
async fn greet(app: Arc<App>) {
    match app.can_check().await {
        Ok(()) => info!("the database answers"),
        Err(cause) => warn!(%cause, "the database gives no answer yet; requests get a 503"),
    }
}

/// Reads the certificate again at each SIGHUP. A renewal that went wrong leaves what worked.
async fn reload(tls: Option<Arc<ServerTls>>, mut hangup: Signal) {
    while hangup.recv().await.is_some() {
        let Some(tls) = &tls else {
            info!("SIGHUP: there is no certificate to reload");
            continue;
        };
        match tls.reload() {
            Ok(()) => info!("SIGHUP: the certificate is reloaded"),
            Err(cause) => error!(%cause, "SIGHUP: the certificate stays as it was"),
        }
    }
}

/// Each connection is a descriptor, and many systems start a process with 1024.
fn raise_descriptor_limit(sockets: u64) {
    // Standard streams, listener, epoll, signals, certificates.
    let needed = sockets + MAX_REJECTED as u64 + 64;
    if rlimit::getrlimit(rlimit::Resource::NOFILE).is_ok_and(|(soft, _)| soft >= needed) {
        return;
    }
    match rlimit::increase_nofile_limit(needed) {
        Ok(limit) if limit >= needed => {}
        Ok(limit) => warn!(limit, needed, "too few file descriptors for --max-connections"),
        Err(error) => warn!(%error, "cannot raise the limit of file descriptors"),
    }
}
