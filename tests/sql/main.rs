//! The extension, through SQL, on a real Postgres.

/// Keys, from their making to their end.
mod keys {
    mod addresses;
    mod any_values;
    mod at_once;
    mod authorize;
    mod check;
    mod create;
    mod ended;
    mod identity;
    mod parallel;
    mod revoke;
    mod rotate;
    mod scopes;
    mod secrets;
    pub mod shop;
}

/// Who may do what, and who would have others do it for him.
mod access {
    mod neighbours;
    mod owners;
    mod privileges;
    mod roles;
    mod row_level_security;
}

/// When a key is hashed, and what is remembered of it.
mod hashes {
    mod hash_turns;
    mod hashing;
    mod proofs;
    mod renewal;
    mod tags;
}

/// The trail, and what is counted.
mod records {
    mod events;
    pub mod usage;
    pub mod usage_worker;
}

/// The table of keys, as it is and as others leave it.
mod table {
    mod concurrency;
    mod constraints;
    mod damaged;
    mod locales;
    mod reinserted;
    mod standby;
    mod table_changes;
}

/// The extension as a whole: its making, its pages, its versions.
mod install {
    mod declarations;
    mod docs;
    mod documentation;
    pub mod dump;
    mod examples;
    mod not_preloaded;
    mod panics;
    mod upgrade;
}

/// Keys that move in.
mod import {
    mod django;
    mod documentation;
    mod tibillet;
}
