//! What there is to set of the admin page.

#![allow(rustdoc::broken_intra_doc_links, reason = "--help is no markdown")]

use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;

#[derive(Args)]
pub struct AdminArguments {
    /// Address and port of the admin page, where people manage keys in a browser; off without this.
    /// It speaks plain HTTP: keep it on loopback, or behind a proxy that speaks TLS, or give
    /// --admin-tls
    #[arg(
        long,
        env = "APIKEY_ADMIN_LISTEN",
        value_name = "ADDRESS:PORT",
        help_heading = "Admin page"
    )]
    pub admin_listen: Option<SocketAddr>,

    /// The admin page speaks TLS, with the certificate of --tls-certificate
    #[arg(long, env = "APIKEY_ADMIN_TLS", help_heading = "Admin page")]
    pub admin_tls: bool,

    /// Names by which browsers reach the admin page, beside localhost, 127.0.0.1, [::1] and the
    /// address of --admin-listen, separated by commas. A request for another one gets a 421
    #[arg(long, env = "APIKEY_ADMIN_HOST", value_name = "HOSTS", help_heading = "Admin page")]
    pub admin_host: Vec<String>,

    /// How long a session of the admin page lasts without a request
    #[arg(long, env = "APIKEY_ADMIN_SESSION_IDLE", value_name = "DURATION",
          help_heading = "Admin page", default_value = "15m", value_parser = session_time)]
    pub admin_session_idle: Duration,

    /// How long a session of the admin page lasts at most
    #[arg(long, env = "APIKEY_ADMIN_SESSION_TOTAL", value_name = "DURATION",
          help_heading = "Admin page", default_value = "8h", value_parser = session_time)]
    pub admin_session_total: Duration,

    /// How often the role and the password of a session are checked against Postgres again, unseen;
    /// a session that fails ends
    #[arg(long, env = "APIKEY_ADMIN_RECHECK", value_name = "DURATION",
          help_heading = "Admin page", default_value = "1m", value_parser = recheck)]
    pub admin_recheck: Duration,

    /// Sessions of the admin page, at most; each may hold a connection to Postgres
    #[arg(long, env = "APIKEY_ADMIN_SESSIONS", value_name = "COUNT", help_heading = "Admin page",
          default_value = "20", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub admin_sessions: u32,
}

/// A session may last longer than a request, and not for ever.
fn session_time(text: &str) -> Result<Duration, String> {
    let bounds = Duration::from_millis(100)..=Duration::from_secs(7 * 24 * 3600);
    match humantime::parse_duration(text) {
        Ok(duration) if bounds.contains(&duration) => Ok(duration),
        Ok(_) => Err("it must be between 100ms and 7days".into()),
        Err(_) => Err("it is no duration such as 15m or 8h".into()),
    }
}

/// Nobody is to be here for longer than a minute with a password that is not valid any more.
fn recheck(text: &str) -> Result<Duration, String> {
    session_time(text)
        .ok()
        .filter(|duration| *duration <= Duration::from_secs(60))
        .ok_or_else(|| "it must be between 100ms and 1m".into())
}
