//! The admin page: keys managed in a browser by people who do not write SQL.
//!
//! Off unless `--admin-listen ADDRESS:PORT` is given; then another line on standard output says "admin on http://…".
//! One signs in with a Postgres role and its password. Whatever a page shows or does is SQL on a connection of
//! that role, so that grants, policies and the audit trail are the database's own.
//!
//! | address | what it does |
//! | --- | --- |
//! | `GET /` | 303 to `/keys` |
//! | `GET`, `POST /sign-in` | fields `role`, `password`, `back`; `POST /sign-out` |
//! | `GET /keys` | the list: `q`, `status`, `owner`, `tenant`, `scope`, `sort` (`name`, `-name` …), `page` |
//! | `GET`, `POST /keys/new` | `name`, `auth` or `scope` (several), `ips`, `expires_at`, `owner`, `tenant`, `create_revoke`, `once` |
//! | `GET`, `POST /keys/PREFIX` | one key: look, edit (with `version`), and tick `create_revoke` |
//! | `POST /keys/PREFIX/rotate` | `grace` (seconds), `once` |
//! | `POST /keys/PREFIX/disable`, `…/enable`, `…/revoke` | `reason` |
//! | `GET /keys/PREFIX/events`, `GET /events` | the audit trail: `page` |
//! | `GET`, `POST /test` | `key`, `ip`, `tenant` |
//! | `POST /language` | `lang` (`fr`, `en`), `back` |
//! | `GET /assets/style.css`, `/assets/copy.js`, `/assets/again.js`, `/assets/addresses.js` | |
//!
//! Every form has a hidden `csrf`. A new key is in the one answer to the `POST` that made it, in
//! `<output id="new-key">`; sent again, that form (by its `once`) makes no other key.

mod context;
mod cookies;
mod db;
mod error;
mod form;
mod hosts;
mod key_form;
mod lang;
mod link;
mod login;
mod permissions;
mod request;
mod response;
mod routes;
mod server;
mod session;
mod throttle;
mod token;
mod views;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

pub use hosts::Hosts;
pub use login::Login;
pub use server::{Running, start};
pub use session::table::Lifetimes;

use crate::client_address::TrustedProxies;
use crate::places::TURNED_AWAY;
use crate::server::ServerLimits;
use crate::server_tls::ServerTls;
use session::AT_ONCE;
use session::table::Sessions;
use throttle::Throttle;

/// Sign-ins that are on their way to Postgres at once; further ones wait.
const SIGNING_IN: usize = 4;

/// Places for connections, more than all sessions together can keep busy.
pub fn connections(sessions: u32) -> u32 {
    128.max(sessions * AT_ONCE + 8)
}

pub struct Settings {
    pub listen: SocketAddr,
    pub tls: Option<Arc<ServerTls>>,
    pub login: Login,
    pub proxies: TrustedProxies,
    pub hosts: Hosts,
    pub lifetimes: Lifetimes,
    /// Sessions, and so connections to Postgres, at most.
    pub sessions: usize,
    /// After how long a role proves itself to Postgres anew.
    pub recheck: Duration,
    pub limits: ServerLimits,
    pub request_time: Duration,
}

impl Settings {
    /// Of browsers and of Postgres, at most.
    pub fn descriptors(&self) -> u64 {
        u64::from(self.limits.connections) + (TURNED_AWAY + self.sessions + SIGNING_IN) as u64
    }
}

/// What all requests share.
pub struct Admin {
    tls: Option<Arc<ServerTls>>,
    login: Login,
    proxies: TrustedProxies,
    hosts: Hosts,
    sessions: Sessions,
    throttle: Throttle,
    signing_in: Semaphore,
    recheck: Duration,
    header_time: Duration,
    request_time: Duration,
}

impl Admin {
    fn new(settings: Settings) -> Self {
        Self {
            tls: settings.tls,
            login: settings.login,
            proxies: settings.proxies,
            hosts: settings.hosts.with(settings.listen.ip()),
            sessions: Sessions::new(settings.sessions, settings.lifetimes),
            throttle: Throttle::default(),
            signing_in: Semaphore::new(SIGNING_IN),
            recheck: settings.recheck,
            header_time: settings.limits.header_time,
            request_time: settings.request_time,
        }
    }

    /// Ends what is over.
    fn sweep(&self, now: Instant) {
        for session in self.sessions.sweep(now) {
            session.rest(now, self.recheck);
        }
    }
}
