//! How often each key was accepted and refused, and when and from where last, without a write on
//! the way: counted in shared memory, seen there at once, and stored in `apikey.usage` from time to
//! time.
//!
//! What is stored can be wrong in no order of events. A slot of memory has a number that no other
//! has, and counts up. A stored row names the slot and how much of its counts it has in it; the
//! view adds the rest, and storing adds the same rest. Storing once more, or failing to, changes no
//! sum.

mod background_worker;
mod flush;
mod in_memory;
mod launcher;
mod own_table;
mod rehashes;
mod saved;

pub use launcher::register;
pub use saved::{load, save};

use crate::gucs;
use crate::pg::state::this_database;
use crate::shmem::usage_memory;
use apikey_core::{KeyId, Outcome};

/// To be called once for each check of a key that exists. Takes no lock unless the key was not used
/// for long.
pub fn count(prefix: &str, outcome: Outcome) {
    let Some(memory) = usage_memory().filter(|_| gucs::track_usage()) else { return };
    let Some(key) = KeyId::new(this_database(), prefix) else { return };
    if memory.count(key, outcome).is_err() {
        memory.header.drop_one();
        memory.header.ask_for_a_round();
    }
}
