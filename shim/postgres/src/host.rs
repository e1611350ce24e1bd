//! One of the servers that a connection string names, and what is known of whether it lives.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_postgres::Config;
use tokio_postgres::config::Host as Name;
use tracing::warn;

use crate::copy_config::copy_config;
use crate::log_target;

/// How long a server that gave no sign of life is tried after the others.
const LAST_FOR: Duration = Duration::from_secs(10);

/// The least time between two looks at whether a server is alive.
const LOOK_EVERY: Duration = Duration::from_secs(1);

pub struct Host {
    name: Name,
    address: Option<IpAddr>,
    port: u16,
    life: Mutex<Life>,
    /// Ends its connections.
    end: watch::Sender<()>,
    /// A pooler hands its connections on, which was not to be seen at once.
    is_pooler: AtomicBool,
}

/// What is known of whether it lives.
#[derive(Default)]
struct Life {
    /// The server is tried after the others until then.
    last_until: Option<Instant>,
    is_looked_at: bool,
    looked_at: Option<Instant>,
}

impl Host {
    pub fn new(name: Name, address: Option<IpAddr>, port: u16) -> Self {
        Self {
            name,
            address,
            port,
            life: Mutex::default(),
            end: watch::channel(()).0,
            is_pooler: AtomicBool::new(false),
        }
    }

    /// Looked up anew each time. A Unix socket has none.
    pub async fn addresses(&self) -> io::Result<Vec<Option<IpAddr>>> {
        Ok(match (&self.name, self.address) {
            (_, Some(address)) => vec![Some(address)],
            (Name::Unix(_), None) => vec![None],
            (Name::Tcp(name), None) => {
                let found = tokio::net::lookup_host((name.as_str(), self.port)).await?;
                found.map(|address| Some(address.ip())).collect()
            }
        })
    }

    /// The settings of all of the string, for this host at this address alone.
    pub fn config(&self, all: &Config, address: Option<IpAddr>) -> Config {
        let mut config = copy_config(all);
        match &self.name {
            Name::Tcp(name) => config.host(name),
            Name::Unix(path) => config.host_path(path),
        };
        address.map(|address| config.hostaddr(address));
        config.port(self.port);
        all.get_user().map(|user| config.user(user));
        all.get_password().map(|password| config.password(password));
        all.get_options().map(|options| config.options(options));
        all.get_application_name().map(|name| config.application_name(name));
        config
    }

    fn life(&self) -> MutexGuard<'_, Life> {
        self.life.lock()
    }

    pub fn is_last(&self) -> bool {
        self.life().last_until.is_some_and(|until| Instant::now() < until)
    }

    pub fn answers(&self) {
        self.life().last_until = None;
    }

    pub fn is_silent(&self) {
        self.life().last_until = Some(Instant::now() + LAST_FOR);
    }

    /// Questions that are out come back as those of a connection that was closed.
    pub fn end_connections(&self) {
        self.is_silent();
        self.end.send_replace(());
    }

    pub fn until_end(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut end = self.end.subscribe();
        async move {
            let _ = end.changed().await;
        }
    }

    /// True for one at a time, and not too often. Who looks says `has_looked` afterwards.
    pub fn may_look(&self) -> bool {
        let mut life = self.life();
        let is_due = life.looked_at.is_none_or(|at| at.elapsed() >= LOOK_EVERY);
        let may = is_due && !life.is_looked_at;
        life.is_looked_at |= may;
        may
    }

    pub fn has_looked(&self) {
        let mut life = self.life();
        life.is_looked_at = false;
        life.looked_at = Some(Instant::now());
    }

    pub fn is_pooler(&self) -> bool {
        self.is_pooler.load(Ordering::Relaxed)
    }

    /// A prepared statement was not what it should be.
    pub fn turned_out_to_be_a_pooler(&self) {
        if !self.is_pooler.swap(true, Ordering::Relaxed) {
            warn!(
                target: log_target::DATABASE,
                host = %self,
                "a pooler hands connections on: no more statements are prepared"
            );
        }
    }
}

/// What cannot be part of a host's name is not shown: in a string that was misquoted it is part of
/// the password.
impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match &self.name {
            Name::Tcp(name) => name.as_str(),
            Name::Unix(path) => path.to_str().unwrap_or_default(),
        };
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:/".contains(&byte);
        let name = if name.bytes().all(is_plain) { name } else { "(not shown)" };
        write!(f, "{name}:{}", self.port)
    }
}
