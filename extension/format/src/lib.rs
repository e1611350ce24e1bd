//! What a key, its prefix, a scope, a tenant and a network look like: the rules of form, once for
//! all who look at one. The constraints of the table `apikey.key` say the same in SQL.

#![forbid(unsafe_code)]

mod key;
mod names;
mod network;

pub use key::{Key, is_prefix};
pub use names::{is_scope, is_tenant};
pub use network::Network;
