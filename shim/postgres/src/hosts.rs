//! The servers that a connection string names, one by one, and which is tried when.

use std::sync::Arc;

use rand::seq::SliceRandom;
use tokio_postgres::Config;
use tokio_postgres::config::LoadBalanceHosts;

use crate::host::Host;

pub struct Hosts {
    hosts: Vec<Arc<Host>>,
    at_random: bool,
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
            let address = addresses.get(place).copied();
            Arc::new(Host::new(name.clone(), address, port.unwrap_or(5432)))
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

    pub fn are_at_random(&self) -> bool {
        self.at_random
    }
}

#[cfg(test)]
mod tests {
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
