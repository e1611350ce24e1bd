//! The extension, through SQL, on a real Postgres.

mod addresses;
mod check;
mod constraints;
mod create;
mod declarations;
mod documentation;
mod dump;
mod hashing;
mod panics;
mod privileges;
mod revoke;
mod secrets;
