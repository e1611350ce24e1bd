//! The rules of apikey that know no Postgres: what a key looks like, how it is hashed and matched,
//! which addresses it may be used from, what its `auth` grants, and what a check answers.

#![forbid(unsafe_code)]

mod address;
mod answer;
mod auth;
mod key;
mod random;
mod verifier;

pub use address::{Network, NotANetwork, ip_valid};
pub use answer::Answer;
pub use auth::{Auth, NotAnAuth};
pub use key::{GeneratedKey, Key};
pub use random::NoRandomness;
pub use verifier::{Argon2Params, HashError, VerifyError, hash, is_current, verify};
