//! Opens connections to Postgres: to the first of the servers that answers in time and is what is wanted. And
//! finds out whether a server is still alive, so that its connections are left for another one's.

use std::convert::Infallible;
use std::future::pending;
use std::net::IpAddr;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use deadpool::managed::{Manager, Metrics, RecycleError, RecycleResult};
use deadpool_postgres::ClientWrapper;
use rand::seq::SliceRandom;
use tokio::time::{sleep, timeout};
use tokio_postgres::Config;
use tokio_postgres::error::SqlState;
use tokio_postgres_rustls::MakeRustlsConnect;
use tracing::{debug, info, warn};

use crate::cannot_connect::{CannotConnect, Refusal};
use crate::database_host::Host;
use crate::database_hosts::Hosts;
use crate::greeting::Greeting;
use crate::log_target;
use crate::members::Members;
use crate::session_attributes::Wanted;
use crate::session_watch::watch;

/// A server that has not answered for so long may be dead. Together with `connect_timeout`, three quarters
/// of a second by default.
const DOUBT: Duration = Duration::from_millis(250);

/// How servers are connected to.
pub struct Connector {
    pub config: Config,
    pub hosts: Hosts,
    pub wanted: Wanted,
    pub tls: MakeRustlsConnect,
    /// For each address, from the first packet until it can be asked.
    pub connect_timeout: Duration,
    pub statement_timeout: Duration,
}

pub struct Connection {
    client: ClientWrapper,
    host: Arc<Host>,
    is_pooled: bool,
    members: Mutex<Arc<Members>>,
}

impl Manager for Connector {
    type Type = Connection;
    type Error = CannotConnect;

    async fn create(&self) -> Result<Connection, CannotConnect> {
        let mut passed_over = CannotConnect(Vec::new());
        let mut hosts = self.hosts.in_order();
        for wanted in self.wanted.in_turn() {
            let mut unsuitable = Vec::new();
            for host in hosts {
                match self.visit(&host, *wanted).await {
                    Ok(connection) => {
                        if !passed_over.0.is_empty() {
                            info!(target: log_target::DATABASE, %host, %passed_over, "connected");
                        }
                        return Ok(connection);
                    }
                    Err(refusal) => {
                        let name = host.to_string();
                        if matches!(refusal, Refusal::Unsuitable(_)) {
                            unsuitable.push(host);
                        }
                        passed_over.0.push((name, refusal));
                    }
                }
            }
            hosts = unsuitable;
        }
        Err(passed_over)
    }

    /// Asks nothing: a connection that is known to be closed is replaced, and one that closes under a question is asked again.
    async fn recycle(
        &self,
        connection: &mut Connection,
        _: &Metrics,
    ) -> RecycleResult<CannotConnect> {
        if connection.is_closed() {
            return Err(RecycleError::message("closed"));
        }
        Ok(())
    }
}

impl Connector {
    async fn visit(&self, host: &Arc<Host>, wanted: Wanted) -> Result<Connection, Refusal> {
        let limit = self.connect_timeout;
        let mut addresses = match timeout(limit, host.addresses()).await {
            Ok(found) => found.map_err(Refusal::Unknown)?,
            Err(_) => return Err(Refusal::Silent(limit)),
        };
        if self.hosts.are_at_random() {
            addresses.shuffle(&mut rand::rng());
        }
        let mut outcome = Err(Refusal::Unknown(std::io::ErrorKind::NotFound.into()));
        for address in addresses {
            let attempt = timeout(limit, self.connect(host, address, wanted)).await;
            outcome = attempt.unwrap_or(Err(Refusal::Silent(limit)));
            if outcome.is_ok() {
                break;
            }
        }
        match &outcome {
            Err(Refusal::Silent(_)) => host.is_silent(),
            _ => host.answers(),
        }
        outcome
    }

    async fn connect(
        &self,
        host: &Arc<Host>,
        address: Option<IpAddr>,
        wanted: Wanted,
    ) -> Result<Connection, Refusal> {
        let greeting = Greeting::new(self.statement_timeout);
        let mut config = host.config(&self.config, address);
        config.options(greeting.options(self.config.get_options()));
        let mut connected = config.connect(self.tls.clone()).await;
        if connected.as_ref().is_err_and(is_refusal_of_options) {
            debug!(target: log_target::DATABASE, %host, "connecting without options of our own");
            connected = host.config(&self.config, address).connect(self.tls.clone()).await;
        }
        let (client, connection) = connected.map_err(Refusal::of)?;
        let end = host.until_end();
        let name = host.clone();
        let task = tokio::spawn(async move {
            tokio::select! {
                () = watch(connection, wanted, &name) => {}
                () = end => {}
            }
        });
        // From here on the connection ends with its client, whatever it waits for.
        let client = ClientWrapper::new(client, task);
        let reply = greeting.exchange(&client).await.map_err(Refusal::of)?;
        match wanted.objection(reply.attributes) {
            Some(objection) => Err(Refusal::Unsuitable(objection)),
            None => Ok(Connection {
                client,
                host: host.clone(),
                is_pooled: !reply.is_direct,
                members: Mutex::new(Arc::new(reply.members)),
            }),
        }
    }

    /// Runs beside a question, and never returns. Where there is another server to go to, one that takes long to answer is
    /// asked for a sign of life: a new connection. If there is none in time, all its connections are ended.
    pub async fn doubt(&self, connection: &Connection) -> Infallible {
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
            if let Err(refusal) = self.visit(host, self.wanted).await
                && !refusal.is_answer()
            {
                warn!(target: log_target::DATABASE, %host, %refusal, "leaving a server that does not answer");
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

    /// What can be asked here, as it was found last.
    pub fn members(&self) -> Arc<Members> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Finds it again: somebody may have installed, replaced or granted something meanwhile.
    pub async fn find_members(&self) -> Result<Arc<Members>, tokio_postgres::Error> {
        let found = Arc::new(Members::find(&self.client).await?);
        *self.members.lock().unwrap_or_else(PoisonError::into_inner) = found.clone();
        Ok(found)
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
