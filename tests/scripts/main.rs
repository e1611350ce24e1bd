//! The scripts behind `make`, as people run them.

mod checkouts;
mod circles;
mod install;
mod pages;
mod run;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
