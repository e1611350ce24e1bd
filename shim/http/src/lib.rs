//! A bounded HTTP server for any handler. It knows no key and no Postgres.
//!
//! A connection walks one way: [`listen`] accepts it and [`connection_limit`] gives it a slot,
//! `handshake` reads what comes before HTTP ([`proxy_protocol`], [`tls`]), `http1` or `http2`
//! serves its requests, each of which the [`context::Handler`] answers. [`server`] begins and ends
//! all of it.
//!
//! Beside that way stands what handlers need: [`problem`] and [`response`], [`host`], [`cors`],
//! [`request_id`], and the client's address behind [`trusted_proxies`].

#![forbid(unsafe_code)]

pub mod connection_limit;
pub mod context;
pub mod cors;
pub mod forwarded;
mod handshake;
pub mod host;
mod http1;
mod http2;
mod io;
pub mod listen;
pub mod log_limit;
pub mod peer;
pub mod problem;
pub mod proxy_protocol;
pub mod request_id;
pub mod response;
pub mod server;
pub mod stream;
pub mod tls;
pub mod trusted_proxies;

/// The targets of this crate's log lines, by which a filter tells its parts apart. They belong to
/// the program's family of names.
pub mod log_target {
    pub const SERVER: &str = "apikey_shim::server";
    pub const CONNECTION: &str = "apikey_shim::connection";
}
