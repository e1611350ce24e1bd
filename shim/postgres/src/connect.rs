//! Opens connections to Postgres: to the first of the servers that answers in time and is what is
//! wanted. And finds out whether a server is still alive, so that its connections are left for
//! another one's.

use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::net::IpAddr;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::ClientWrapper;
use rand::seq::SliceRandom;
use tokio::time::{sleep, timeout};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Config, SimpleQueryRow};
use tokio_postgres_rustls::MakeRustlsConnect;
use tracing::{debug, info, warn};

use crate::error::{ConnectError, HostError};
use crate::host::Host;
use crate::hosts::Hosts;
use crate::log_target;
use crate::monitor;
use crate::pooler_probe::Probe;
use crate::session_attrs::Wanted;

/// A server that has not answered for so long may be dead. Together with `connect_timeout`, three
/// quarters of a second by default.
const DOUBT: Duration = Duration::from_millis(250);

/// How servers are connected to.
pub struct Connector {
    pub config: Config,
    pub tls: MakeRustlsConnect,
    pub(crate) hosts: Hosts,
    pub(crate) wanted: Wanted,
    /// How long each address may take, from the first packet until it can be asked.
    pub(crate) connect_timeout: Duration,
    pub(crate) statement_timeout: Duration,
}

pub struct Connection {
    client: ClientWrapper,
    host: Arc<Host>,
    is_pooled: bool,
}

/// A connection, and the rows of the statements that it was asked first.
type Connected = (Connection, Vec<SimpleQueryRow>);

impl Connector {
    /// Asks the statements `first` in the message in which it asks what server it is.
    pub async fn connect(&self, first: &str) -> Result<Connected, ConnectError> {
        let mut passed_over = ConnectError(Vec::new());
        let mut hosts = self.hosts.in_order();
        for wanted in self.wanted.in_turn() {
            let mut unsuitable = Vec::new();
            for host in hosts {
                match self.try_host(&host, *wanted, first).await {
                    Ok(connected) => {
                        if !passed_over.0.is_empty() {
                            info!(target: log_target::DATABASE, %host, %passed_over, "connected");
                        }
                        return Ok(connected);
                    }
                    Err(error) => {
                        let name = host.to_string();
                        if matches!(error, HostError::Unsuitable(_)) {
                            unsuitable.push(host);
                        }
                        passed_over.0.push((name, error));
                    }
                }
            }
            hosts = unsuitable;
        }
        Err(passed_over)
    }

    async fn try_host(
        &self,
        host: &Arc<Host>,
        wanted: Wanted,
        first: &str,
    ) -> Result<Connected, HostError> {
        let limit = self.connect_timeout;
        let mut addresses = match timeout(limit, host.addresses()).await {
            Ok(found) => found.map_err(HostError::Unresolved)?,
            Err(_) => return Err(HostError::TimedOut(limit)),
        };
        if self.hosts.are_at_random() {
            addresses.shuffle(&mut rand::rng());
        }
        let mut outcome = Err(HostError::Unresolved(io::ErrorKind::NotFound.into()));
        for address in addresses {
            let attempt = timeout(limit, self.try_address(host, address, wanted, first)).await;
            outcome = attempt.unwrap_or(Err(HostError::TimedOut(limit)));
            if outcome.is_ok() {
                break;
            }
        }
        match &outcome {
            Err(HostError::TimedOut(_)) => host.is_silent(),
            _ => host.answers(),
        }
        outcome
    }

    async fn try_address(
        &self,
        host: &Arc<Host>,
        address: Option<IpAddr>,
        wanted: Wanted,
        first: &str,
    ) -> Result<Connected, HostError> {
        let probe = Probe::new(self.statement_timeout);
        let mut config = host.config(&self.config, address);
        config.options(probe.options(self.config.get_options()));
        let mut connected = config.connect(self.tls.clone()).await;
        if connected.as_ref().is_err_and(is_refusal_of_options) {
            debug!(target: log_target::DATABASE, %host, "connecting without options of our own");
            connected = host.config(&self.config, address).connect(self.tls.clone()).await;
        }
        let (client, connection) = connected.map_err(HostError::of)?;
        let end = host.until_end();
        let name = host.clone();
        let task = tokio::spawn(async move {
            tokio::select! {
                () = monitor::run(connection, wanted, &name) => {}
                () = end => {}
            }
        });
        // From here on the connection ends with its client, whatever it waits for.
        let client = ClientWrapper::new(client, task);
        let reply = probe.ask(&client, first).await.map_err(HostError::of)?;
        match wanted.objection(reply.attributes) {
            Some(objection) => Err(HostError::Unsuitable(objection)),
            None => {
                let is_pooled = !reply.is_direct;
                Ok((Connection { client, host: host.clone(), is_pooled }, reply.further))
            }
        }
    }

    /// Runs beside a question, and never returns. Where there is another server to go to, one that
    /// takes long to answer is asked for a sign of life: a new connection. If there is none in
    /// time, all its connections are ended.
    pub async fn watch_over(&self, connection: &Connection) -> Infallible {
        if self.hosts.len() == 1 {
            return pending().await;
        }
        let host = &connection.host;
        loop {
            sleep(DOUBT).await;
            if !host.may_look() {
                continue;
            }
            // Also if the answer comes meanwhile, and this is dropped.
            let _looked = scopeguard::guard(host, |host| host.has_looked());
            if let Err(error) = self.try_host(host, self.wanted, "").await
                && !error.is_answer()
            {
                warn!(
                    target: log_target::DATABASE,
                    %host,
                    %error,
                    "leaving a server that does not answer"
                );
                host.end_connections();
            }
        }
    }
}

/// A pooler that knows nothing of such a parameter refuses the connection.
fn is_refusal_of_options(error: &tokio_postgres::Error) -> bool {
    error.as_db_error().is_some_and(|error| {
        *error.code() == SqlState::PROTOCOL_VIOLATION
            && error.message().contains("startup parameter")
    })
}

impl Connection {
    /// Whether the next statement may meet another session of the server's.
    pub fn is_pooled(&self) -> bool {
        self.is_pooled || self.host.is_pooler()
    }

    pub fn turned_out_to_be_pooled(&self) {
        self.host.turned_out_to_be_a_pooler();
    }
}

impl Deref for Connection {
    type Target = ClientWrapper;

    fn deref(&self) -> &ClientWrapper {
        &self.client
    }
}
