//! Whether an address lies in a network, as a check sees it.

use super::types::Inet;
use pgrx::prelude::*;

#[pg_extern(immutable, parallel_safe, strict)]
fn contains(network: Inet, address: Inet) -> bool {
    network.0.contains(address.0.address())
}
