//! Asking Postgres about keys. A [`query::Question`] goes to [`client`], which puts it into a
//! [`batch`] or, if only a slow hash can tell, has it wait in [`slow_hash`]; [`pool`] has the
//! sessions with what of the extension each may call ([`members`]). Back comes a row or a
//! [`decision`], or an [`error`].

pub mod batch;
pub mod client;
pub mod decision;
pub mod error;
pub mod members;
pub mod pool;
pub mod query;
pub mod refusal;
pub mod session;
pub mod slow_hash;
pub mod stats;
