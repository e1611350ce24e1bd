//! Pieces of Postgres, each with a safe face.

pub mod as_owner;
pub mod log;
pub mod lwlock;
pub mod state;
pub mod subtransaction;
