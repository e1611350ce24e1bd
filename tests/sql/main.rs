//! The extension, through SQL, on a real Postgres.

mod addresses;
mod authorize;
mod check;
mod concurrency;
mod constraints;
mod create;
mod declarations;
mod documentation;
mod dump;
mod events;
mod hashing;
mod import_django;
mod import_documentation;
mod import_tibillet;
mod panics;
mod privileges;
mod renewal;
mod revoke;
mod roles;
mod rotate;
mod scopes;
mod secrets;
mod standby;
mod upgrade;
