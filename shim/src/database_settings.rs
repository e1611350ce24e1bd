//! How to reach Postgres: the connection string, the password, and what every session gets.

use std::path::Path;
use std::time::Duration;

use tokio_postgres::config::{Host, SslMode};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::conninfo;
use crate::tls;

/// What tokio-postgres assumes for `keepalives_idle`.
const TWO_HOURS: Duration = Duration::from_secs(2 * 60 * 60);

/// No message repeats a part of the string, since any part may be the password.
pub fn connection(text: &str) -> Result<(tokio_postgres::Config, MakeRustlsConnect), String> {
    let (rest, ssl) = conninfo::split(text)?;
    let mut config: tokio_postgres::Config = rest.parse().map_err(|error| parse_error(&error))?;
    let (tls, mode) = tls::connector(ssl)?;
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
    Ok((config, tls))
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
pub fn session(config: &mut tokio_postgres::Config, request_timeout: Duration) {
    // The server gives up when we do. The last option wins, so one's own comes last.
    let own = config.get_options().unwrap_or_default();
    let milliseconds = request_timeout.as_millis();
    let options = format!("-c statement_timeout={milliseconds} {own}");
    config.options(options.trim_end());
    if config.get_application_name().is_none() {
        config.application_name("apikey-shim");
    }
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(request_timeout);
    }
    // Load balancers and NATs forget a silent connection after a few minutes, without telling
    // either end; the default of two hours would leave it in the pool until a request hangs on it.
    if config.get_keepalives_idle() == TWO_HOURS {
        config.keepalives_idle(Duration::from_secs(60));
    }
}

/// In bytes: Postgres cuts longer names, and would look for another schema than the one named.
pub fn identifier(name: &str) -> Result<(), String> {
    if name.len() > 63 || name.contains('\0') {
        return Err("the name of a schema has at most 63 bytes".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn parsed(text: &str) -> tokio_postgres::Config {
        connection(text).unwrap().0
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
        assert!(connection("host=/run,h sslmode=require").is_err());
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
            let message = connection(text).err().unwrap();
            assert!(!message.contains("secret"), "{text}: {message}");
        }
    }

    #[test]
    fn sessions_are_bounded() {
        let mut config = parsed("host=h options='-c statement_timeout=1'");
        session(&mut config, Duration::from_secs(5));
        assert_eq!(config.get_options(), Some("-c statement_timeout=5000 -c statement_timeout=1"));
        assert_eq!(config.get_application_name(), Some("apikey-shim"));
        assert_eq!(config.get_connect_timeout(), Some(&Duration::from_secs(5)));
    }
}
