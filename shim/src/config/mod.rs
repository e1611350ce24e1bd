//! Makes everything that the server needs of its arguments, all of it valid. Each refusal is one
//! sentence that names the setting.

#[cfg(feature = "admin")]
mod admin_args;
pub mod args;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

#[cfg(feature = "admin")]
use apikey_admin::{Hosts, Lifetimes, Login};
use apikey_http::context::{Handshake, Limits as ServerLimits};
use apikey_http::cors::Cors;
use apikey_http::forwarded::ForwardedHeader;
use apikey_http::listen::ListenAddress;
use apikey_http::peer::PeerSet;
use apikey_http::tls::ServerTls;
use apikey_http::trusted_proxies::TrustedProxies;
use apikey_postgres::config::{Options, connector, password};
use apikey_postgres::connect::Connector;
#[cfg(feature = "admin")]
use apikey_postgres::without_login;
use hyper::header::{HeaderName, HeaderValue};
use tracing_subscriber::filter::Targets;

use crate::api::credentials::KeyHeader;
use crate::api::state::App;
use crate::api::tenant::{Tenancy, by_host};
use crate::keys::client::{Client, Limits};
use crate::keys::pool::SessionPool;
use crate::telemetry::log::{self, LogFormat};
use crate::telemetry::metrics::Metrics;
use args::Arguments;

pub struct Settings {
    pub listen: Vec<ListenAddress>,
    pub socket_mode: u32,
    pub app: App,
    pub limits: ServerLimits,
    pub handshake: Handshake,
    pub pool_size: u32,
    pub log: Targets,
    pub log_format: LogFormat,
    pub metrics_listen: Option<SocketAddr>,
    #[cfg(feature = "admin")]
    pub admin: Option<apikey_admin::Settings>,
}

/// A setting and what is wrong with it.
#[derive(Debug)]
pub struct Invalid(&'static str, String);

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(flag, reason) = self;
        let variable = flag.to_ascii_uppercase().replace('-', "_");
        write!(f, "--{flag} (APIKEY_{variable}): {reason}")
    }
}

/// Names the setting in an error of its value.
fn of<T>(flag: &'static str, outcome: Result<T, String>) -> Result<T, Invalid> {
    outcome.map_err(|reason| Invalid(flag, reason))
}

impl Settings {
    pub fn new(arguments: Arguments) -> Result<Self, Invalid> {
        let log = log::filter(&arguments.log, arguments.log_requests);
        let tenancy = tenancy(&arguments)?;
        let tls = server_tls(&arguments)?;
        let limits = ServerLimits {
            connections: arguments.max_connections,
            header_bytes: arguments.max_header_bytes as usize,
            header_time: arguments.header_timeout,
            idle_time: arguments.idle_timeout,
            shutdown: arguments.shutdown_timeout,
        };
        #[cfg(feature = "admin")]
        let admin = admin(&arguments, tls.clone(), limits)?;
        let key_header = arguments.key_header.as_deref().unwrap_or_default();
        let key_header = of("key-header", KeyHeader::parse(key_header))?;
        Ok(Self {
            listen: arguments.listen.clone(),
            socket_mode: arguments.socket_mode,
            log: of("log", log)?,
            log_format: arguments.log_format,
            metrics_listen: arguments.metrics_listen,
            limits,
            handshake: Handshake {
                balancers: of("proxy-protocol", PeerSet::parse(items(&arguments.proxy_protocol)))?,
                tls,
                http2: true,
            },
            pool_size: arguments.pool_size,
            app: App {
                proxies: proxies(&arguments)?,
                cors: cors(&arguments, &key_header)?,
                key_header,
                challenge: of("realm", challenge(&arguments.realm))?,
                keys: keys(&arguments)?,
                tenancy,
                metrics: Arc::new(Metrics::new(arguments.max_connections, arguments.pool_size)),
                database_errors: Arc::default(),
            },
            #[cfg(feature = "admin")]
            admin,
        })
    }
}

/// A list may be given by repeating the flag, with commas, or both. An empty environment variable
/// (as in a template for systemd) is an empty list.
fn items(values: &[String]) -> impl Iterator<Item = &str> {
    let items = values.iter().flat_map(|value| value.split(','));
    items.map(str::trim).filter(|item| !item.is_empty())
}

/// What the shim itself reads of a page's request, and `Content-Type`, which many clients always
/// send.
const OWN_HEADERS: [&str; 4] = ["Authorization", "X-Api-Key", "Content-Type", "X-Request-Id"];

fn cors(arguments: &Arguments, key_header: &KeyHeader) -> Result<Cors, Invalid> {
    let origins = of("cors-origin", Cors::origins(items(&arguments.cors_origin)))?;
    let further = items(&arguments.cors_header).chain(key_header.name().map(HeaderName::as_str));
    let names = OWN_HEADERS.into_iter().chain(further);
    let headers = of("cors-header", Cors::allowed_headers(names))?;
    if origins.is_empty() && items(&arguments.cors_header).next().is_some() {
        return of("cors-header", Err("--cors-origin names no page that could send it".into()));
    }
    Ok(Cors::new(origins, headers))
}

/// RFC 9110, 11.6.1. The scheme is the one in which keys are sent.
fn challenge(realm: &str) -> Result<HeaderValue, String> {
    let plain = |byte: u8| (byte == b' ' || byte.is_ascii_graphic()) && !b"\"\\".contains(&byte);
    if realm.len() > 100 || !realm.bytes().all(plain) {
        return Err("at most 100 ASCII characters, without quotes and backslashes".into());
    }
    HeaderValue::try_from(format!("Api-Key realm=\"{realm}\"")).map_err(|error| error.to_string())
}

/// An empty value is no setting here, too: keys of tenants are then refused, never taken.
fn tenancy(arguments: &Arguments) -> Result<Tenancy, Invalid> {
    let hosts =
        of("tenant-by-host", by_host::TenantHosts::parse(items(&arguments.tenant_by_host)))?;
    match arguments.tenant.as_deref().filter(|tenant| !tenant.is_empty()) {
        None if hosts.is_empty() => Ok(Tenancy::None),
        None => Ok(Tenancy::ByHost(hosts)),
        Some(tenant) if hosts.is_empty() => of("tenant", Tenancy::one(tenant)),
        Some(_) => of("tenant-by-host", Err("--tenant is set too; give one of them".into())),
    }
}

/// An empty value is no setting here, too.
fn server_tls(arguments: &Arguments) -> Result<Option<Arc<ServerTls>>, Invalid> {
    let files = [&arguments.tls_certificate, &arguments.tls_key];
    match files.map(|path| path.clone().filter(|path| !path.as_os_str().is_empty())) {
        [None, None] => Ok(None),
        [Some(certificate), Some(key)] => {
            let tls = of("tls-certificate", ServerTls::new(certificate, key))?;
            Ok(Some(Arc::new(tls)))
        }
        [None, Some(_)] => of("tls-key", Err("--tls-certificate is missing".into())),
        [Some(_), None] => of("tls-certificate", Err("--tls-key is missing".into())),
    }
}

fn proxies(arguments: &Arguments) -> Result<TrustedProxies, Invalid> {
    Ok(TrustedProxies {
        proxies: of("trusted-proxy", PeerSet::parse(items(&arguments.trusted_proxy)))?,
        header: ForwardedHeader::named(&arguments.forwarded_header),
    })
}

/// The admin page has the same database, by the same way, with the roles of people.
#[cfg(feature = "admin")]
fn admin(
    arguments: &Arguments,
    tls: Option<Arc<ServerTls>>,
    limits: ServerLimits,
) -> Result<Option<apikey_admin::Settings>, Invalid> {
    let page = &arguments.admin;
    let tls = tls.filter(|_| page.admin_tls);
    if page.admin_tls && tls.is_none() {
        return of("admin-tls", Err("--tls-certificate is missing".into()));
    }
    let hosts = of("admin-host", Hosts::parse(items(&page.admin_host)))?;
    let Some(listen) = page.admin_listen else { return Ok(None) };
    let Connector { config, tls: to_database, .. } = connector_of(arguments)?;
    Ok(Some(apikey_admin::Settings {
        listen,
        tls,
        login: Login::new(without_login(&config), to_database, arguments.request_timeout),
        proxies: proxies(arguments)?,
        hosts,
        lifetimes: Lifetimes { idle: page.admin_session_idle, total: page.admin_session_total },
        sessions: page.admin_sessions as usize,
        recheck: page.admin_recheck,
        limits: ServerLimits {
            connections: apikey_admin::connections(page.admin_sessions),
            ..limits
        },
        request_time: arguments.request_timeout,
    }))
}

fn connector_of(arguments: &Arguments) -> Result<Connector, Invalid> {
    let options = Options {
        application_name: "apikey-shim",
        connect_timeout: arguments.connect_timeout,
        request_timeout: arguments.request_timeout,
    };
    of("database", connector(&arguments.database, &options))
}

fn keys(arguments: &Arguments) -> Result<Arc<Client>, Invalid> {
    let mut connector = connector_of(arguments)?;
    let config = &mut connector.config;
    if let Some(path) = arguments.database_password_file.as_deref() {
        let password = password(path, config.get_password().is_some());
        config.password(of("database-password-file", password)?);
    }
    let limits = Limits {
        connections: arguments.pool_size as usize,
        waiting: arguments.pool_queue as usize,
        wait: arguments.pool_wait,
        request: arguments.request_timeout,
    };
    let pool = SessionPool::new(connector, limits.connections, limits.request);
    let pool = of("database", pool.map_err(|error| error.to_string()))?;
    Ok(Client::new(pool, limits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_realms_and_names() {
        let values = ["a, b".to_owned(), String::new(), "c,".to_owned()];
        assert_eq!(items(&values).collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(challenge("My API").unwrap(), "Api-Key realm=\"My API\"");
        assert!(challenge("\"").is_err() && challenge("\u{e9}").is_err());
        assert_eq!(
            Invalid("cors-origin", "no".into()).to_string(),
            "--cors-origin (APIKEY_CORS_ORIGIN): no"
        );
    }
}
