//! The servers that a connection string names, one by one, and which is tried when.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::seq::SliceRandom;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_postgres::Config;
use tokio_postgres::config::{Host as Name, LoadBalanceHosts};
use tracing::warn;

/// How long a server that gave no sign of life is tried after the others.
const LAST_FOR: Duration = Duration::from_secs(10);

/// Between two looks at whether a server is alive, at least.
const LOOK_EVERY: Duration = Duration::from_secs(1);

pub struct Hosts {
    hosts: Vec<Arc<Host>>,
    at_random: bool,
}

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
    /// Until when it is tried last.
    last_until: Option<Instant>,
    is_looked_at: bool,
    looked_at: Option<Instant>,
}

impl Hosts {
    pub fn of(config: &Config) -> Result<Self, String> {
        let (names, addresses) = (config.get_hosts(), config.get_hostaddrs());
        let ports = config.get_ports();
        if !addresses.is_empty() && addresses.len() != names.len() {
            return Err("it names not as many hosts as addresses (hostaddr)".into());
        }
        if ports.len() > 1 && ports.len() != names.len() {
            return Err("it names not as many ports as hosts".into());
        }
        let hosts = names.iter().enumerate().map(|(place, name)| {
            let port = ports.get(place).or(ports.first()).copied();
            Arc::new(Host {
                name: name.clone(),
                address: addresses.get(place).copied(),
                port: port.unwrap_or(5432),
                life: Mutex::default(),
                end: watch::channel(()).0,
                is_pooler: AtomicBool::new(false),
            })
        });
        let at_random = config.get_load_balance_hosts() == LoadBalanceHosts::Random;
        Ok(Self { hosts: hosts.collect(), at_random })
    }

    pub fn len(&self) -> usize {
        self.hosts.len()
    }

    /// All of them, those that were silent lately at the end.
    pub fn in_order(&self) -> Vec<Arc<Host>> {
        let mut hosts = self.hosts.clone();
        if self.at_random {
            hosts.shuffle(&mut rand::rng());
        }
        hosts.sort_by_key(|host| host.is_last());
        hosts
    }

    pub async fn addresses(&self, host: &Host) -> io::Result<Vec<Option<IpAddr>>> {
        let mut addresses: Vec<_> = match (&host.name, host.address) {
            (_, Some(address)) => vec![Some(address)],
            (Name::Unix(_), None) => vec![None],
            (Name::Tcp(name), None) => {
                let found = tokio::net::lookup_host((name.as_str(), host.port)).await?;
                found.map(|address| Some(address.ip())).collect()
            }
        };
        if self.at_random {
            addresses.shuffle(&mut rand::rng());
        }
        Ok(addresses)
    }
}

impl Host {
    /// The whole string's settings, for this host at this address alone.
    pub fn config(&self, all: &Config, address: Option<IpAddr>) -> Config {
        let mut config = Config::new();
        match &self.name {
            Name::Tcp(name) => config.host(name),
            Name::Unix(path) => config.host_path(path),
        };
        address.map(|address| config.hostaddr(address));
        config.port(self.port).ssl_mode(all.get_ssl_mode());
        config.ssl_negotiation(all.get_ssl_negotiation());
        config.channel_binding(all.get_channel_binding());
        config.keepalives(all.get_keepalives()).keepalives_idle(all.get_keepalives_idle());
        all.get_keepalives_interval().map(|interval| config.keepalives_interval(interval));
        all.get_keepalives_retries().map(|retries| config.keepalives_retries(retries));
        all.get_tcp_user_timeout().map(|timeout| config.tcp_user_timeout(*timeout));
        all.get_user().map(|user| config.user(user));
        all.get_password().map(|password| config.password(password));
        all.get_dbname().map(|name| config.dbname(name));
        all.get_options().map(|options| config.options(options));
        all.get_application_name().map(|name| config.application_name(name));
        config
    }

    fn life(&self) -> MutexGuard<'_, Life> {
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_last(&self) -> bool {
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
            warn!(host = %self, "a pooler hands connections on: no more statements are prepared");
        }
    }
}

/// For the log. What cannot be part of a host's name is not shown: in a string that was misquoted it is of the password.
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn hosts(text: &str) -> Hosts {
        Hosts::of(&text.parse().unwrap()).unwrap()
    }

    fn names(hosts: &Hosts) -> Vec<String> {
        hosts.in_order().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn each_with_its_port() {
        assert_eq!(names(&hosts("host=a,b port=1,2")), ["a:1", "b:2"]);
        assert_eq!(names(&hosts("host=a,/run port=7")), ["a:7", "/run:7"]);
        assert_eq!(names(&hosts("postgresql://u@a:1,b/d")), ["a:1", "b:5432"]);
        assert!(Hosts::of(&"host=a,b,c port=1,2".parse().unwrap()).is_err());
        assert!(Hosts::of(&"host=a,b hostaddr=127.0.0.1".parse().unwrap()).is_err());
    }

    #[test]
    fn a_part_of_a_password_is_no_name() {
        let misquoted: Config = "postgresql://u:secret@secret@h/d".parse().unwrap();
        assert!(!names(&Hosts::of(&misquoted).unwrap()).concat().contains("secret"));
    }

    #[test]
    fn who_is_silent_comes_last_until_it_answers() {
        let hosts = hosts("host=a,b,c");
        let first = hosts.in_order()[0].clone();
        first.is_silent();
        assert_eq!(names(&hosts), ["b:5432", "c:5432", "a:5432"]);
        first.answers();
        assert_eq!(names(&hosts), ["a:5432", "b:5432", "c:5432"]);
    }

    #[test]
    fn one_looks_at_a_time_and_not_too_often() {
        let host = hosts("host=a").in_order()[0].clone();
        assert!(host.may_look() && !host.may_look());
        host.has_looked();
        assert!(!host.may_look());
    }

    #[test]
    fn nothing_is_lost_on_the_way_to_one_host() {
        let text = "host=a,b port=1,2 user=u password=p dbname=d options='-c x=y' application_name=n \
                    keepalives_idle=9 keepalives_interval=8 keepalives_retries=7 tcp_user_timeout=6 \
                    channel_binding=disable sslmode=require sslnegotiation=direct";
        let one = text.replace("a,b", "b").replace("1,2", "2");
        let all: Config = text.parse().unwrap();
        let config = Hosts::of(&all).unwrap().in_order()[1].config(&all, None);
        assert_eq!(config, one.parse().unwrap());
    }
}
