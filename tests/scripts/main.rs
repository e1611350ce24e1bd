//! The scripts behind `make`, as people run them.

mod checkouts;
mod install;
mod run;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
