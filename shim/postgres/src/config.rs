//! How to reach Postgres: the connection string, the password, and what every session gets.

use std::path::Path;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

use crate::connect::Connector;
use crate::conninfo;
use crate::hosts::Hosts;
use crate::tls;

/// What tokio-postgres assumes for `keepalives_idle`.
const TWO_HOURS: Duration = Duration::from_secs(2 * 60 * 60);

/// How long one of several servers may take: enough for a handshake with TLS over a hundred miles,
/// and little enough that a dead server is left within a second.
const OF_SEVERAL: Duration = Duration::from_millis(500);

/// What the string does not say.
pub struct Options {
    /// What a session is called if the string gives no name.
    pub application_name: &'static str,
    /// How long connecting may take; `None`: by the string, or as it seems fit.
    pub connect_timeout: Option<Duration>,
    /// How long a request may take, and with it each statement.
    pub request_timeout: Duration,
}

/// No message repeats a part of the string, since any part may be the password.
pub fn connector(text: &str, options: &Options) -> Result<Connector, String> {
    let (rest, taken) = conninfo::split(text)?;
    let mut config: Config = rest.parse().map_err(|error| parse_error(&error))?;
    let (tls, mode) = tls::connector(taken.ssl)?;
    // Certificates are checked against a name: an address serves as its own.
    if config.get_hosts().is_empty() {
        for address in config.get_hostaddrs().to_vec() {
            config.host(address.to_string());
        }
    }
    let sockets = config.get_hosts().iter().filter(|host| is_socket(host)).count();
    let mode = match (sockets, config.get_hosts().len()) {
        (_, 0) => {
            return Err("it names no host; for a local server that is host=/run/postgresql \
                        (its Unix socket) or host=localhost"
                .into());
        }
        // As in libpq, a Unix socket is never encrypted, whatever sslmode says.
        (sockets, hosts) if sockets == hosts => SslMode::Disable,
        (1.., _) if mode == SslMode::Require => {
            return Err("it mixes Unix sockets with hosts that must use TLS".into());
        }
        _ => mode,
    };
    config.ssl_mode(mode);
    let hosts = Hosts::of(&config)?;
    let request_timeout = options.request_timeout;
    let connect_timeout = options
        .connect_timeout
        .or(config.get_connect_timeout().copied())
        .unwrap_or(if hosts.len() > 1 { OF_SEVERAL } else { request_timeout })
        .min(request_timeout);
    session(&mut config, options);
    let statement_timeout = request_timeout;
    Ok(Connector { config, hosts, wanted: taken.wanted, tls, connect_timeout, statement_timeout })
}

fn is_socket(host: &Host) -> bool {
    matches!(host, Host::Unix(_))
}

fn parse_error(error: &tokio_postgres::Error) -> String {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    match cause {
        // Names an option of a fixed list, not its value.
        Some(cause) if cause.starts_with("invalid value for option") => cause,
        _ => "it is neither a postgresql:// URL nor key=value pairs that libpq knows".into(),
    }
}

pub fn password(path: &Path, given_twice: bool) -> Result<Vec<u8>, String> {
    if given_twice {
        return Err("--database has a password too; give one of them".into());
    }
    let mut password =
        std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    for ending in [b'\n', b'\r'] {
        password.pop_if(|last| *last == ending);
    }
    if password.is_empty() {
        return Err(format!("{} is empty", path.display()));
    }
    Ok(password)
}

/// What every session of ours has, unless the connection string says otherwise.
fn session(config: &mut Config, options: &Options) {
    if config.get_application_name().is_none() {
        config.application_name(options.application_name);
    }
    // What was sent and is not even acknowledged after this time has been given up by the request
    // that sent it.
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(options.request_timeout);
    }
    // Load balancers and NATs forget a silent connection after a few minutes, without telling
    // either end; the default of two hours would leave it in the pool until a request hangs on it.
    if config.get_keepalives_idle() == TWO_HOURS {
        config.keepalives_idle(Duration::from_secs(60));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: Options = Options {
        application_name: "apikey-shim",
        connect_timeout: None,
        request_timeout: Duration::from_secs(5),
    };

    fn parsed(text: &str) -> Config {
        connector(text, &OPTIONS).unwrap().config
    }

    #[test]
    fn tls_is_for_tcp_only() {
        for (text, mode) in [
            ("host=h", SslMode::Prefer),
            ("host=h sslmode=require", SslMode::Require),
            ("host=/run sslmode=require", SslMode::Disable),
            ("postgresql:///d?host=/run", SslMode::Disable),
            ("host=/run,h", SslMode::Prefer),
            ("hostaddr=127.0.0.1 sslmode=disable", SslMode::Disable),
        ] {
            assert_eq!(parsed(text).get_ssl_mode(), mode, "{text}");
        }
        assert!(connector("host=/run,h sslmode=require", &OPTIONS).is_err());
        assert_eq!(parsed("hostaddr=127.0.0.1").get_hosts().len(), 1);
    }

    #[test]
    fn refusals_keep_the_string_to_themselves() {
        for text in [
            "",
            "user=u",
            "secret",
            "host=h password=my secret=",
            "host=h secret=1",
            "host=h port=secret",
            "postgresql://u:secret@h:port",
            "postgresql://u:secret@h/d?secret=1",
            "postgresql://u:secret@h/d?sslmode=allow",
        ] {
            let message = connector(text, &OPTIONS).err().unwrap();
            assert!(!message.contains("secret"), "{text}: {message}");
        }
    }

    #[test]
    fn connecting_is_bounded() {
        let milliseconds = |text, connect: Option<u64>| {
            let connect_timeout = connect.map(Duration::from_millis);
            let options = Options { connect_timeout, ..OPTIONS };
            connector(text, &options).unwrap().connect_timeout.as_millis()
        };
        assert_eq!(milliseconds("host=a", None), 5000);
        assert_eq!(milliseconds("host=a,b", None), 500);
        assert_eq!(milliseconds("host=a,b connect_timeout=2", None), 2000);
        assert_eq!(milliseconds("host=a,b connect_timeout=2", Some(100)), 100);
        assert_eq!(milliseconds("host=a connect_timeout=60", None), 5000);
    }

    #[test]
    fn sessions_have_a_name_and_notice_a_dead_line() {
        let config = parsed("host=h");
        assert_eq!(config.get_application_name(), Some("apikey-shim"));
        assert_eq!(config.get_keepalives_idle(), Duration::from_secs(60));
        assert_eq!(config.get_tcp_user_timeout(), Some(&Duration::from_secs(5)));
        assert_eq!(parsed("host=h application_name=n").get_application_name(), Some("n"));
    }
}
