//! What the tests share: a Postgres cluster, databases in it, and programs that others wrote.
//!
//! `scripts/test` starts a cluster that all tests share, each with a database and roles of its own.
//! A test that stops its server makes a cluster for itself.

mod any_key;
mod chromium;
mod database;
mod django;
mod error;
mod example_shop;
mod keys;
mod load;
mod login;
mod office;
mod program;
mod samples;
mod traps;
mod visitor;
mod waiting;

/// Programs that run while a test asks them.
mod servers {
    pub mod certificate;
    pub mod cluster;
    pub mod pgbouncer;
    pub mod processes;
    pub mod proxy;
    pub mod shim;
    pub mod tmpfs;
}

pub use any_key::{AnyKey, AnyKeys};
pub use chromium::{CHROMIUM_FLAGS, chromedriver, chromium};
pub use database::{Database, one};
pub use django::Django;
pub use error::{Refusal, refused};
pub use example_shop::ExampleShop;
pub use keys::{is_valid, prove, stat, wrong_secret};
pub use load::{Asked, Load, Seen};
pub use login::Login;
pub use office::Office;
pub use program::{Output, program, run};
pub use samples::Samples;
pub use servers::certificate::Certificate;
pub use servers::cluster::Cluster;
pub use servers::pgbouncer::Pgbouncer;
pub use servers::processes::{Frozen, signal};
pub use servers::proxy::{Proxy, ProxyFiles, free_address, from_python_env};
pub use servers::shim::{Answer, Shim, short_run};
pub use servers::tmpfs::Tmpfs;
pub use traps::Traps;
pub use visitor::{Visitor, shown_key};
pub use waiting::eventually;

/// The key of the published examples: nobody's here.
pub const PUBLISHED_KEY: &str = "Map0K71T.rcs82Q66NuCUCuyTmnjVhmwhfl0VnOsW";

/// The value of an environment variable that `scripts/test` sets.
pub fn from_test_script(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| panic!("{variable} is not set: run `make test`"))
}
