//! The command line and its environment: what there is to set, and its help. Values whose mistakes
//! clap can explain are parsed here; the rest is in the module above.

#![allow(rustdoc::bare_urls, rustdoc::broken_intra_doc_links, reason = "--help is no markdown")]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use apikey_http::forwarded::ForwardedHeader;
use apikey_http::listen::{ListenAddress, socket_mode};
use clap::{CommandFactory, FromArgMatches, Parser};

#[cfg(feature = "admin")]
use crate::config::admin_args::AdminArguments;
use crate::telemetry::log::LogFormat;

/// Answers "is this API key valid?" over HTTP, with one SQL call of apikey_check.
///
/// Every setting can be given as a flag or in the environment; the flag wins.
/// Durations are written like 5s, 500ms or 1m30s.
#[derive(Parser)]
#[command(version, after_help = FOOTER, term_width = 100)]
pub struct Arguments {
    /// Where to listen, separated by commas: ADDRESS:PORT, unix:/path, or systemd for the sockets
    /// that it passes on. Port 0 takes a free one, which is printed at start
    #[arg(
        long,
        env = "APIKEY_LISTEN",
        value_name = "ADDRESSES",
        help_heading = "Listening",
        default_value = "127.0.0.1:8080",
        value_delimiter = ','
    )]
    pub listen: Vec<ListenAddress>,

    /// Permissions of the Unix socket; connecting needs write permission
    #[arg(long, env = "APIKEY_SOCKET_MODE", value_name = "OCTAL", help_heading = "Listening",
          default_value = "0660", value_parser = socket_mode)]
    pub socket_mode: u32,

    /// File with the certificate and those that it depends on, in PEM form: ports then speak TLS,
    /// with HTTP/1.1 and HTTP/2. SIGHUP reads it again
    #[arg(long, env = "APIKEY_TLS_CERTIFICATE", value_name = "PATH", help_heading = "Listening")]
    pub tls_certificate: Option<PathBuf>,

    /// File with the key of that certificate, in PEM form
    #[arg(long, env = "APIKEY_TLS_KEY", value_name = "PATH", help_heading = "Listening")]
    pub tls_key: Option<PathBuf>,

    /// TCP balancers that tell the client's address by the PROXY protocol, version 1 or 2:
    /// addresses or networks, separated by commas, or unix. Their connections must begin with its
    /// header; nobody else's may
    #[arg(
        long,
        env = "APIKEY_PROXY_PROTOCOL",
        value_name = "NETWORKS",
        help_heading = "Listening"
    )]
    pub proxy_protocol: Vec<String>,

    /// Reverse proxies whose word on the client's address is believed: addresses or networks,
    /// separated by commas, or unix for whoever connects to a Unix socket. Without any, the client
    /// is whoever opened the connection
    #[arg(long, env = "APIKEY_TRUSTED_PROXY", value_name = "NETWORKS", help_heading = "HTTP")]
    pub trusted_proxy: Vec<String>,

    /// The header in which those proxies name the client. The other one is ignored, since they pass
    /// it on as the client sent it
    #[arg(
        long,
        env = "APIKEY_FORWARDED_HEADER",
        value_name = "HEADER",
        help_heading = "HTTP",
        default_value = ForwardedHeader::NAMES[0],
        value_parser = ForwardedHeader::NAMES
    )]
    pub forwarded_header: String,

    /// The header that carries the key, alone and without a scheme, such as Api-Key. Authorization
    /// is then ignored. Without this, the key is in Authorization or X-Api-Key
    #[arg(long, env = "APIKEY_KEY_HEADER", value_name = "HEADER", help_heading = "HTTP")]
    pub key_header: Option<String>,

    /// Origins whose pages may ask with credentials (CORS), such as https://shop.example,
    /// separated by commas. Without any, browsers let no other site read the answers
    #[arg(long, env = "APIKEY_CORS_ORIGIN", value_name = "ORIGINS", help_heading = "HTTP")]
    pub cors_origin: Vec<String>,

    /// Headers that those pages may send beside Authorization, X-Api-Key, Content-Type and
    /// X-Request-Id, such as traceparent, separated by commas
    #[arg(long, env = "APIKEY_CORS_HEADER", value_name = "NAMES", help_heading = "HTTP")]
    pub cors_header: Vec<String>,

    /// Name of what is protected, for the WWW-Authenticate header of a 401
    #[arg(
        long,
        env = "APIKEY_REALM",
        value_name = "TEXT",
        help_heading = "HTTP",
        default_value = "apikey"
    )]
    pub realm: String,

    /// The tenant whose keys are valid. Without this and --tenant-by-host, only keys that belong to
    /// no tenant are valid
    #[arg(long, env = "APIKEY_TENANT", value_name = "NAME", help_heading = "Tenants")]
    pub tenant: Option<String>,

    /// Tenants by the host that a request names, as venue.example.org=venue, or *.example.org=* for
    /// one label that is the tenant, separated by commas. A request for another host gets a 401
    #[arg(
        long,
        env = "APIKEY_TENANT_BY_HOST",
        value_name = "HOST=TENANT",
        help_heading = "Tenants"
    )]
    pub tenant_by_host: Vec<String>,

    /// Where Postgres is, as libpq writes it: postgresql://user@host:5432/db?sslmode=verify-full or
    /// "host=/run/postgresql user=… dbname=…". Its role has to be a member of apikey_checker, which
    /// deploy/roles.sql creates, and needs nothing else
    #[arg(long, env = "APIKEY_DATABASE", value_name = "URL", help_heading = "Database")]
    pub database: String,

    /// File that holds the password of the role, on one line
    #[arg(
        long,
        env = "APIKEY_DATABASE_PASSWORD_FILE",
        value_name = "PATH",
        help_heading = "Database"
    )]
    pub database_password_file: Option<PathBuf>,

    /// Connections to Postgres, at most; a quarter of them are for keys that take a slow hash
    #[arg(long, env = "APIKEY_POOL_SIZE", value_name = "COUNT", help_heading = "Database",
          default_value = "10", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub pool_size: u32,

    /// How long each address of a server may take to accept a session, before the next one is
    /// tried. Without this, connect_timeout of --database counts, or else 500ms if that names
    /// several servers, or --request-timeout
    #[arg(long, env = "APIKEY_CONNECT_TIMEOUT", value_name = "DURATION", help_heading = "Limits",
          value_parser = duration)]
    pub connect_timeout: Option<Duration>,

    /// How long a request may wait for a free connection before it gets a 503
    #[arg(long, env = "APIKEY_POOL_WAIT", value_name = "DURATION", help_heading = "Limits",
          default_value = "1s", value_parser = duration)]
    pub pool_wait: Duration,

    /// Requests that may wait for a free connection; further ones get a 503 at once
    #[arg(long, env = "APIKEY_POOL_QUEUE", value_name = "COUNT", help_heading = "Limits",
          default_value = "1000", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub pool_queue: u32,

    /// How long a request may take altogether before it gets a 503; also the session's
    /// statement_timeout
    #[arg(long, env = "APIKEY_REQUEST_TIMEOUT", value_name = "DURATION", help_heading = "Limits",
          default_value = "5s", value_parser = duration)]
    pub request_timeout: Duration,

    /// How long a client may take to send the head of a request (408), or to read an answer
    #[arg(long, env = "APIKEY_HEADER_TIMEOUT", value_name = "DURATION", help_heading = "Limits",
          default_value = "10s", value_parser = duration)]
    pub header_timeout: Duration,

    /// How long a client may stay silent between two requests. A proxy that keeps connections
    /// should keep them for a shorter time
    #[arg(long, env = "APIKEY_IDLE_TIMEOUT", value_name = "DURATION", help_heading = "Limits",
          default_value = "75s", value_parser = duration)]
    pub idle_timeout: Duration,

    /// Size of a request's head in bytes, at most (431)
    #[arg(long, env = "APIKEY_MAX_HEADER_BYTES", value_name = "BYTES", help_heading = "Limits",
          default_value = "16384", value_parser = clap::value_parser!(u32).range(8192..=1_048_576))]
    pub max_header_bytes: u32,

    /// Client connections, at most. When another comes, the one that has kept us waiting for the
    /// longest is closed; if all are being answered, the new one gets a 503
    #[arg(long, env = "APIKEY_MAX_CONNECTIONS", value_name = "COUNT", help_heading = "Limits",
          default_value = "1024", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub max_connections: u32,

    /// How long requests may take to finish after SIGTERM or SIGINT
    #[arg(long, env = "APIKEY_SHUTDOWN_TIMEOUT", value_name = "DURATION", help_heading = "Limits",
          default_value = "10s", value_parser = duration)]
    pub shutdown_timeout: Duration,

    #[cfg(feature = "admin")]
    #[command(flatten)]
    pub admin: AdminArguments,

    /// What to log on standard error: off, error, warn, info, debug or trace; also of a part alone,
    /// as in warn,apikey_shim::connection=debug
    #[arg(
        long,
        env = "APIKEY_LOG",
        value_name = "FILTER",
        help_heading = "Log",
        default_value = "info"
    )]
    pub log: String,

    /// How to log: text for people, json for programs; auto is text on a terminal, else json
    #[arg(
        long,
        env = "APIKEY_LOG_FORMAT",
        value_name = "FORMAT",
        help_heading = "Log",
        default_value = "auto",
        value_enum
    )]
    pub log_format: LogFormat,

    /// Log a line for each request, at level info
    #[arg(long, env = "APIKEY_LOG_REQUESTS", help_heading = "Log")]
    pub log_requests: bool,

    /// Address and port for Prometheus to read /metrics at, without a password: for a network that
    /// clients do not reach. Without it there are no metrics to read
    #[arg(
        long,
        env = "APIKEY_METRICS_LISTEN",
        value_name = "ADDRESS:PORT",
        help_heading = "Metrics"
    )]
    pub metrics_listen: Option<SocketAddr>,
}

const FOOTER: &str = "\
Example:
  apikey-shim --database postgresql://apikey_shim@db.internal/app?sslmode=verify-full \\
              --database-password-file /etc/apikey/password --trusted-proxy 10.0.0.0/8
  curl -H 'Authorization: Api-Key KEY' http://127.0.0.1:8080/api/user/keytest/

Routes: /api/user/keytest/ and /admin/api/user/keytest/ (200, 401, 503), /auth for proxies
(200, 401, 403, 503), /live, /ready.
With --metrics-listen, and at that address alone: /metrics.

Exit status: 0 after SIGTERM or SIGINT, 64 wrong settings, 69 cannot listen, 70 anything else.";

/// Not zero (which means "never" to some and "at once" to others), and below what
/// `statement_timeout` can hold.
fn duration(text: &str) -> Result<Duration, String> {
    let bounds = Duration::from_millis(10)..=Duration::from_secs(3600);
    match humantime::parse_duration(text) {
        Ok(duration) if bounds.contains(&duration) => Ok(duration),
        Ok(_) => Err("it must be between 10ms and 1h".into()),
        Err(_) => Err("it is no duration such as 5s, 500ms or 1m30s".into()),
    }
}

impl Arguments {
    pub fn parse(arguments: impl Iterator<Item = std::ffi::OsString>) -> Result<Self, clap::Error> {
        // Values from the environment stay out of --help: one of them may hold a password.
        let mut command = Self::command().mut_args(|argument| argument.hide_env_values(true));
        let matches = command.try_get_matches_from_mut(arguments)?;
        Self::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
    }
}

/// clap repeats stray arguments in its messages. A connection string that lost its flag or its
/// quotes is such a stray, and its password must not end up in a log.
pub fn without_secrets(message: String, arguments: &[std::ffi::OsString]) -> String {
    arguments
        .iter()
        .filter_map(|argument| argument.to_str())
        .filter(|argument| argument.contains("://") || argument.contains("password="))
        .fold(message, |message, secret| message.replace(secret, "(not shown)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Arguments::command().debug_assert();
    }

    #[cfg(not(feature = "admin"))]
    #[test]
    fn without_the_admin_page_its_flags_are_unknown() {
        let given = ["apikey-shim", "--database", "host=a", "--admin-listen", "127.0.0.1:0"];
        let parsed = |given: &[&str]| Arguments::parse(given.iter().map(Into::into));
        let refused = parsed(&given).err().map(|error| error.kind());
        assert_eq!(refused, Some(clap::error::ErrorKind::UnknownArgument));
        assert!(parsed(&given[..3]).is_ok());
    }

    #[test]
    fn durations_have_units_and_bounds() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("1m30s"), Ok(Duration::from_secs(90)));
        for text in ["", "5", "0s", "-1s", "1ms", "2h", "soon"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn messages_keep_no_connection_string() {
        let arguments = ["postgres://u:secret@h", "password=secret"].map(Into::into);
        let message = "unexpected 'postgres://u:secret@h', 'password=secret'".to_owned();
        assert!(!without_secrets(message, &arguments).contains("secret"));
    }
}
