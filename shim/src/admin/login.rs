//! How a person gets a connection: where the shim's own database is, with the person's role and password.

use std::error::Error as _;
use std::net::IpAddr;
use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, TargetSessionAttrs};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::admin::db::connection::Connection;
use crate::admin::error::Error;

/// Postgres cuts longer names, and would take another role than the one that was typed.
const LONGEST_ROLE: usize = 63;

pub struct Login {
    config: Config,
    tls: MakeRustlsConnect,
    timeout: Duration,
}

/// Why somebody does not get in.
pub enum Refused {
    /// The role or the password is wrong; which, is not told.
    Wrong,
    /// Postgres lets this role in without a password, and so proves nothing.
    NoPasswordAsked,
    /// It may not connect to this database.
    NotHere,
    Failed(Error),
}

impl Login {
    /// Where the shim's role goes, without what is the shim's alone.
    pub fn new(config: &Config, tls: MakeRustlsConnect, timeout: Duration) -> Self {
        let mut config = without_login(config);
        let hosts = config.get_hosts().len() as u32;
        if hosts > 1 {
            // Keys are managed on the primary: a standby would refuse every change.
            config.target_session_attrs(TargetSessionAttrs::ReadWrite);
            // One that is silent leaves time for the others.
            let each = timeout / (hosts + 1);
            let given = config.get_connect_timeout().copied().unwrap_or(each);
            config.connect_timeout(given.min(each));
        }
        Self { config, tls, timeout }
    }

    /// For somebody who signs in, and again and again for who has. The first try brings no password along, and has to fail: where `pg_hba.conf` says
    /// `trust` or `peer`, anybody would be anybody. Postgres logs no failure for it, as for psql, which asks the same way.
    pub async fn sign_in(
        &self,
        role: &str,
        password: &str,
        client: IpAddr,
    ) -> Result<Connection, Refused> {
        let plausible = |text: &str| !text.is_empty() && !text.contains('\0');
        if !plausible(role) || !plausible(password) || role.len() > LONGEST_ROLE {
            return Err(Refused::Wrong);
        }
        match self.connect(role, None, client).await {
            Ok(_) => return Err(Refused::NoPasswordAsked),
            Err(Refused::Wrong) => {}
            Err(refused) => return Err(refused),
        }
        self.connect(role, Some(password), client).await
    }

    async fn connect(
        &self,
        role: &str,
        password: Option<&str>,
        client: IpAddr,
    ) -> Result<Connection, Refused> {
        let mut config = self.config.clone();
        config.user(role);
        if let Some(password) = password {
            config.password(password);
        }
        // The audit trail notes it: there, the connection's address is the shim's.
        config.application_name(format!("apikey-admin for {client}"));
        let connecting = Connection::open(&config, self.tls.clone(), self.timeout);
        match timeout(self.timeout, connecting).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(refused(&error)),
            Err(_) => Err(Refused::Failed(Error::Away)),
        }
    }
}

/// The way to the database, and nothing that says or proves who comes. A password cannot be taken out of a `Config`.
fn without_login(shims: &Config) -> Config {
    let mut config = Config::new();
    for host in shims.get_hosts() {
        match host {
            Host::Tcp(name) => config.host(name),
            Host::Unix(path) => config.host_path(path),
        };
    }
    for address in shims.get_hostaddrs() {
        config.hostaddr(*address);
    }
    for port in shims.get_ports() {
        config.port(*port);
    }
    // What libpq assumes, too: a database named like the role, which here is the shim's.
    if let Some(name) = shims.get_dbname().or(shims.get_user()) {
        config.dbname(name);
    }
    if let Some(limit) = shims.get_connect_timeout() {
        config.connect_timeout(*limit);
    }
    if let Some(limit) = shims.get_tcp_user_timeout() {
        config.tcp_user_timeout(*limit);
    }
    config
        .ssl_mode(shims.get_ssl_mode())
        .ssl_negotiation(shims.get_ssl_negotiation())
        .channel_binding(shims.get_channel_binding())
        .load_balance_hosts(shims.get_load_balance_hosts())
        .target_session_attrs(shims.get_target_session_attrs())
        .keepalives(shims.get_keepalives())
        .keepalives_idle(shims.get_keepalives_idle());
    config
}

fn refused(error: &tokio_postgres::Error) -> Refused {
    match error.code().map(|code| code.code()) {
        // invalid_password, invalid_authorization_specification: pg_hba.conf, or no such role.
        Some("28P01" | "28000") => Refused::Wrong,
        // insufficient_privilege: no CONNECT on the database.
        Some("42501") => Refused::NotHere,
        Some(_) => Refused::Failed(Error::of(error)),
        // Said by the driver and not by the server: it has no password to send.
        None if said_by_driver(error, "password missing") => Refused::Wrong,
        None => Refused::Failed(Error::of(error)),
    }
}

fn said_by_driver(error: &tokio_postgres::Error, words: &str) -> bool {
    error.source().is_some_and(|cause| cause.to_string() == words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conninfo::SslParameters;
    use crate::tls;

    #[test]
    fn of_several_servers_the_primary_is_found_in_time() {
        let login = |text: &str| {
            let (tls, _) = tls::connector(SslParameters::default()).unwrap();
            Login::new(&text.parse().unwrap(), tls, Duration::from_secs(6)).config
        };
        let of_two = login("host=a,b connect_timeout=60 sslmode=disable");
        assert_eq!(of_two.get_connect_timeout(), Some(&Duration::from_secs(2)));
        assert_eq!(of_two.get_target_session_attrs(), TargetSessionAttrs::ReadWrite);
        let of_one = login("host=a sslmode=disable");
        assert_eq!(of_one.get_target_session_attrs(), TargetSessionAttrs::Any);
    }

    #[test]
    fn the_shims_own_login_stays_behind() {
        let shims: Config = "host=a,/run port=1,2 user=shim password=secret dbname=d \
                             connect_timeout=3 options='-c role=x' target_session_attrs=read-write"
            .parse()
            .unwrap();
        let config = without_login(&shims);
        assert_eq!((config.get_user(), config.get_password()), (None, None));
        assert_eq!(config.get_options(), None);
        assert_eq!(config.get_hosts(), shims.get_hosts());
        assert_eq!(config.get_ports(), [1, 2]);
        assert_eq!(config.get_dbname(), Some("d"));
        assert_eq!(config.get_connect_timeout(), Some(&Duration::from_secs(3)));
        let shims: Config = "host=a user=shim".parse().unwrap();
        assert_eq!(without_login(&shims).get_dbname(), Some("shim"));
    }
}
