//! Copies of a `Config` without some of it: a `Config` can be added to, and nothing taken out of
//! it.

use tokio_postgres::Config;
use tokio_postgres::config::Host;

/// Another `Config` with what concerns the way to any of the servers: neither which ones there are,
/// nor who comes, nor what a session gets.
pub fn copy_config(of: &Config) -> Config {
    let mut config = Config::new();
    config
        .ssl_mode(of.get_ssl_mode())
        .ssl_negotiation(of.get_ssl_negotiation())
        .channel_binding(of.get_channel_binding())
        .keepalives(of.get_keepalives())
        .keepalives_idle(of.get_keepalives_idle());
    of.get_keepalives_interval().map(|interval| config.keepalives_interval(interval));
    of.get_keepalives_retries().map(|retries| config.keepalives_retries(retries));
    of.get_tcp_user_timeout().map(|timeout| config.tcp_user_timeout(*timeout));
    of.get_dbname().map(|name| config.dbname(name));
    config
}

/// The way to the same servers and database, without what says or proves who comes.
pub fn without_login(of: &Config) -> Config {
    let mut config = copy_config(of);
    for host in of.get_hosts() {
        match host {
            Host::Tcp(name) => config.host(name),
            Host::Unix(path) => config.host_path(path),
        };
    }
    of.get_hostaddrs().iter().for_each(|address| _ = config.hostaddr(*address));
    of.get_ports().iter().for_each(|port| _ = config.port(*port));
    // What libpq assumes, too: a database named like the role that is left out here.
    of.get_dbname().or(of.get_user()).map(|name| config.dbname(name));
    of.get_connect_timeout().map(|limit| config.connect_timeout(*limit));
    config.load_balance_hosts(of.get_load_balance_hosts());
    config.target_session_attrs(of.get_target_session_attrs());
    config
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_login_stays_behind() {
        let whole: Config = "host=a,/run port=1,2 user=shim password=secret dbname=d \
                             connect_timeout=3 options='-c role=x' target_session_attrs=read-write"
            .parse()
            .unwrap();
        let config = without_login(&whole);
        assert_eq!((config.get_user(), config.get_password()), (None, None));
        assert_eq!(config.get_options(), None);
        assert_eq!(config.get_hosts(), whole.get_hosts());
        assert_eq!(config.get_ports(), [1, 2]);
        assert_eq!(config.get_dbname(), Some("d"));
        assert_eq!(config.get_connect_timeout(), Some(&Duration::from_secs(3)));
        let whole: Config = "host=a user=shim".parse().unwrap();
        assert_eq!(without_login(&whole).get_dbname(), Some("shim"));
    }
}
