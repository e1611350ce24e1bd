//! What the page is told at its start, and what all of its requests share.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use crate::hosts::Hosts;
use crate::login::Login;
use crate::session::table::{Lifetimes, Sessions};
use crate::session::{AT_ONCE, Session};
use crate::throttle::Throttle;
use apikey_http::connection_limit::MAX_REJECTED;
use apikey_http::context::Limits;
use apikey_http::tls::ServerTls;
use apikey_http::trusted_proxies::TrustedProxies;

/// Sign-ins that are on their way to Postgres at once; further ones wait.
const SIGNING_IN: usize = 4;

/// How many connections browsers may have: more than all sessions together can keep busy.
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
    /// The most sessions, and so connections to Postgres, at once.
    pub sessions: usize,
    /// How long a connection serves before the role proves itself to Postgres anew.
    pub recheck: Duration,
    pub limits: Limits,
    pub request_time: Duration,
}

impl Settings {
    /// The most connections that browsers and Postgres can have at once.
    pub fn descriptors(&self) -> u64 {
        u64::from(self.limits.connections) + (MAX_REJECTED + self.sessions + SIGNING_IN) as u64
    }
}

/// What all requests share.
pub struct Admin {
    pub tls: Option<Arc<ServerTls>>,
    pub login: Login,
    pub proxies: TrustedProxies,
    pub hosts: Hosts,
    pub sessions: Sessions<Session>,
    pub throttle: Throttle,
    pub signing_in: Semaphore,
    pub recheck: Duration,
    pub header_time: Duration,
    pub request_time: Duration,
}

impl Admin {
    pub fn new(settings: Settings) -> Self {
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
    pub fn sweep(&self, now: Instant) {
        for session in self.sessions.sweep(now) {
            session.rest(now, self.recheck);
        }
    }
}
