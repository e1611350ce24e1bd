//! What the pages read and write: SQL on a connection of somebody's role.

pub mod actions;
pub mod connection;
pub mod events;
pub mod key;
pub mod key_list;
pub mod membership;
pub mod scopes;
