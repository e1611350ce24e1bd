//! The rules of apikey that know no Postgres: how a key is made, hashed and matched, which
//! addresses it may be used from, what its `auth` grants, and what a check answers. What a key
//! looks like says `apikey-format`.

#![forbid(unsafe_code)]

mod address;
mod answer;
mod auth;
mod ended;
mod generated_key;
mod proof;
mod random;
mod rehash;
mod tag;
mod usage;
mod verifier;

pub use answer::{Answer, Reason};
pub use argon2::Block;
pub use auth::{Auth, NotAnAuth};
pub use ended::{Ended, Ends};
pub use generated_key::GeneratedKey;
pub use proof::{Bucket, MacKey, Proof, ProofTable, restore, save};
pub use random::NoRandomness;
pub use rehash::{Claim, NotNow, Rehash, RehashSlot, RehashTable, Ticket};
pub use tag::tag;
pub use usage::{
    Counts, Crowded, KeyId, LastUse, Outcome, Slot, Usage, UsageTable, first_generation,
};
pub use verifier::{Argon2Params, HashError, VerifyError, hash, is_current, verify};
