//! How a block of memory is divided: what has one size comes first, and behind it what the settings
//! give a size.

use super::counters::Counters;
use super::hash_slots::HashSlots;
use super::usage_header::{UsageHeader, UsageMemory};
use crate::gucs;
use apikey_core::{Bucket, MacKey, ProofTable, RehashSlot, RehashTable, Slot, UsageTable};
use pgrx::pg_sys::LWLock;
use std::alloc::{Layout, LayoutError};
use std::slice;
use std::sync::atomic::AtomicU64;

/// Renewed hashes that wait to be stored: 48 kB.
const REHASHES: usize = 128;

/// But for the MAC key, all zeros is how it starts.
#[repr(C)]
struct Fixed {
    mac_key: MacKey,
    hash_slots: HashSlots,
    evictions: AtomicU64,
    counters: Counters,
    usage: UsageHeader,
}

/// How many there are of what follows it.
#[derive(Clone, Copy)]
pub struct Sizes {
    buckets: usize,
    slots: usize,
    rehashes: usize,
}

/// Where each part begins in the block that `all` describes.
struct Parts {
    all: Layout,
    buckets: usize,
    slots: usize,
    rehashes: usize,
}

#[derive(Clone, Copy)]
pub struct Memory {
    pub is_shared: bool,
    pub mac_key: &'static MacKey,
    pub hash_slots: &'static HashSlots,
    pub evictions: &'static AtomicU64,
    pub counters: &'static Counters,
    pub proofs: ProofTable<'static>,
}

impl Sizes {
    /// A backend's own: room for 1024 proofs.
    pub const LOCAL: Self = Self { buckets: 256, slots: 0, rehashes: 0 };

    pub fn shared() -> Self {
        let (buckets, slots) = (gucs::proof_buckets(), gucs::usage_slots());
        Self { buckets, slots, rehashes: REHASHES }
    }

    /// Of the whole block.
    pub fn layout(self) -> Layout {
        self.parts().all
    }

    fn parts(self) -> Parts {
        let parts = || {
            let (all, buckets) =
                Layout::new::<Fixed>().extend(Layout::array::<Bucket>(self.buckets)?)?;
            let (all, slots) = all.extend(Layout::array::<Slot>(self.slots)?)?;
            let (all, rehashes) = all.extend(Layout::array::<RehashSlot>(self.rehashes)?)?;
            Ok::<_, LayoutError>(Parts { all, buckets, slots, rehashes })
        };
        parts().unwrap_or_else(|error| pgrx::error!("apikey's memory is too large: {error}"))
    }
}

/// # Safety
/// `block` has the size and alignment of `sizes.layout()`, is zeroed, nobody uses it yet, and it
/// stays for as long as this process does.
pub unsafe fn lay_out(block: *mut u8, sizes: Sizes, mac_key: MacKey, is_shared: bool) -> Memory {
    // SAFETY: by the contract above; zeros are valid atomics. From here on, nothing is written but
    // atomics and what Postgres's own functions write.
    unsafe {
        let fixed = block.cast::<Fixed>();
        (&raw mut (*fixed).mac_key).write(mac_key);
        HashSlots::start(&raw mut (*fixed).hash_slots);
        let fixed = &*fixed;
        let buckets = block.add(sizes.parts().buckets).cast();
        let buckets = slice::from_raw_parts(buckets, sizes.buckets);
        Memory {
            is_shared,
            mac_key: &fixed.mac_key,
            hash_slots: &fixed.hash_slots,
            evictions: &fixed.evictions,
            counters: &fixed.counters,
            proofs: ProofTable::new(buckets, &fixed.evictions),
        }
    }
}

/// # Safety
/// `lay_out` has laid out the block in these sizes, and `lock` is its own.
pub unsafe fn lay_out_usage(block: *mut u8, sizes: Sizes, lock: *mut LWLock) -> UsageMemory {
    // SAFETY: by the contract above; zeros are empty slots.
    unsafe {
        let parts = sizes.parts();
        let header = &(*block.cast::<Fixed>()).usage;
        let slots = slice::from_raw_parts(block.add(parts.slots).cast(), sizes.slots);
        let rehashes = slice::from_raw_parts(block.add(parts.rehashes).cast(), sizes.rehashes);
        let rehashes = RehashTable::new(rehashes, &header.is_rehashing);
        UsageMemory { header, table: UsageTable::new(slots), rehashes, lock }
    }
}
