//! How a person gets a connection to the shim's own database, with their role and password.

use std::error::Error as _;
use std::net::IpAddr;
use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres::Config;
use tokio_postgres::config::TargetSessionAttrs;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::db::connection::Connection;
use crate::error::Error;

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
    /// `config` leads where the shim's role goes, without its login.
    pub fn new(mut config: Config, tls: MakeRustlsConnect, timeout: Duration) -> Self {
        find_primary(&mut config, timeout);
        Self { config, tls, timeout }
    }

    /// Signs somebody in, and again and again who has a session. The first try brings no password
    /// along, and has to fail: where `pg_hba.conf` says `trust` or `peer`, anybody would be
    /// anybody. Postgres logs no failure for it, as for psql, which asks the same way.
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

/// Chooses the primary among several servers: a standby would refuse every change.
fn find_primary(config: &mut Config, timeout: Duration) {
    let hosts = config.get_hosts().len() as u32;
    if hosts > 1 {
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        // One that is silent leaves time for the others.
        let each = timeout / (hosts + 1);
        let given = config.get_connect_timeout().copied().unwrap_or(each);
        config.connect_timeout(given.min(each));
    }
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

    #[test]
    fn of_several_servers_the_primary_is_found_in_time() {
        let found = |text: &str| {
            let mut config = text.parse().unwrap();
            find_primary(&mut config, Duration::from_secs(6));
            config
        };
        let of_two = found("host=a,b connect_timeout=60 sslmode=disable");
        assert_eq!(of_two.get_connect_timeout(), Some(&Duration::from_secs(2)));
        assert_eq!(of_two.get_target_session_attrs(), TargetSessionAttrs::ReadWrite);
        let of_one = found("host=a sslmode=disable");
        assert_eq!(of_one.get_target_session_attrs(), TargetSessionAttrs::Any);
    }
}
