//! What the tests share: a Postgres cluster, databases in it, and programs that others wrote.
//!
//! `scripts/test` starts a cluster that all tests share, each with a database and roles of its own. A
//! test that stops its server makes a cluster for itself.

mod any_key;
mod certificate;
mod chromium;
mod cluster;
mod database;
mod django;
mod error;
mod example_shop;
mod keys;
mod load;
mod office;
mod pgbouncer;
mod processes;
mod program;
mod proxy;
mod samples;
mod shim;
mod tmpfs;
mod traps;
mod visitor;
mod waiting;

pub use any_key::{AnyKey, AnyKeys};
pub use certificate::Certificate;
pub use chromium::{CHROMIUM_FLAGS, chromedriver, chromium};
pub use cluster::Cluster;
pub use database::{Database, Login, one};
pub use django::Django;
pub use error::{Refusal, refused};
pub use example_shop::ExampleShop;
pub use keys::{is_valid, prove, stat, wrong_secret};
pub use load::{Asked, Load, Seen};
pub use office::Office;
pub use pgbouncer::Pgbouncer;
pub use processes::{Frozen, signal};
pub use program::{Output, program, run};
pub use proxy::{Proxy, ProxyFiles, free_address, from_python_env};
pub use samples::Samples;
pub use shim::{Answer, Shim, short_run};
pub use tmpfs::Tmpfs;
pub use traps::Traps;
pub use visitor::{Visitor, shown_key};
pub use waiting::eventually;

/// The key of the published examples: nobody's here.
pub const PUBLISHED_KEY: &str = "Map0K71T.rcs82Q66NuCUCuyTmnjVhmwhfl0VnOsW";

/// The value of an environment variable that `scripts/test` sets.
pub fn from_test_script(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| panic!("{variable} is not set: run `make test`"))
}
