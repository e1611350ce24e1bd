//! One connection to the right one of several Postgres servers, by a libpq connection string. It
//! knows nothing of keys, and keeps no pool.
//!
//! `conninfo` takes out of the string what tokio-postgres reads otherwise, and [`config`] makes a
//! [`connect::Connector`] of it. That one asks the `hosts` in turn, by `tls`; `pooler_probe` asks a
//! new session what it is, `session_attrs` says whether it will do, and `monitor` looks that it
//! stays so. [`error`] says why none would do.

#![forbid(unsafe_code)]

pub mod config;
pub mod connect;
mod conninfo;
mod copy_config;
pub mod error;
mod host;
mod hosts;
mod monitor;
mod pooler_probe;
pub mod safe_query;
mod session_attrs;
mod tls;

pub use copy_config::without_login;

/// The target of this crate's log lines. It belongs to the program's family of names.
pub mod log_target {
    pub const DATABASE: &str = "apikey_shim::database";
}
