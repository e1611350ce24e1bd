//! Faults under load, as production has them. What must hold through each: a key that is wrong or
//! revoked is never accepted, a good one is never refused (503 is not a refusal), and two seconds
//! after the fault is over all is as before.
//!
//! Each test has a server of its own. `CHAOS_SECONDS` says how long the soak test takes (5),
//! `CHAOS_CROWD` how many slow and idle clients there are (1000 of each).

mod crowd;
mod exhausted;
mod extension;
mod frozen;
mod hashes;
mod hosts;
mod kills;
mod pooler;
mod scene;
mod soak;
