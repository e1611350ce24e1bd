//! The functions of the library that SQL calls. Their declarations stand in `sql/apikey--*.sql`.

mod address;
mod authorize;
mod check;
mod create;
mod ended;
pub mod identity;
#[cfg(feature = "panic-probe")]
mod panic_probe;
mod scope;
mod stats;
mod types;
