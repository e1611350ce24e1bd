//! Pieces of Postgres, each with a safe face but for `ffi`.

pub mod as_owner;
pub mod ffi;
pub mod log;
pub mod lwlock;
pub mod state;
pub mod subtransaction;
