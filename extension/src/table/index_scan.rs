//! The row with a prefix, by the index of the primary key: without the planner, executor and copies
//! of a query. It asks for no rights on the table.

use crate::error::internal;
use crate::pg::ffi;
use crate::table::catalog::{self, KEEP, KeyTable, LOCK};
use crate::table::snapshot::NewerSnapshot;
use pgrx::pg_sys::{self, Datum, panic::ErrorReport};
use std::ptr::null_mut;

/// A row that was taken apart. It has its own copy, so that nothing of it is held in the table.
pub struct Slot(*mut pg_sys::TupleTableSlot);

enum Found<T> {
    Row(T),
    Nothing,
    /// The table has gone, or is not what was known of it any more.
    Changed,
    NoSnapshot,
}

/// As the caller's snapshot has it, or a newer one.
pub fn find(prefix: &str) -> Result<Option<(Slot, KeyTable)>, ErrorReport> {
    let prefix = ShortText::new(prefix).ok_or_else(|| internal("a prefix is too long"))?;
    let (mut table, mut found) = (None, Found::Changed);
    if let Some(known) = catalog::known() {
        let _snapshot = NewerSnapshot::if_outdated();
        (table, found) = (Some(known), fetch(&known, &prefix, catalog::is_known));
    }
    // What was looked up needs no second look, since from then on the table is locked.
    if let Found::Changed = found {
        let current = catalog::look_up()?;
        let _snapshot = NewerSnapshot::after_look_up();
        (table, found) = (Some(current), fetch(&current, &prefix, |_| true));
    }
    match found {
        Found::Row(slot) => Ok(table.map(|table| (Slot(slot), table))),
        Found::Nothing => Ok(None),
        Found::Changed => Err(internal("apikey.key has gone")),
        Found::NoSnapshot => Err(internal("apikey was called outside of a statement")),
    }
}

fn fetch(
    known: &KeyTable,
    prefix: &ShortText,
    is_known: fn(pg_sys::Oid) -> bool,
) -> Found<*mut pg_sys::TupleTableSlot> {
    let mut key = pg_sys::ScanKeyData::default();
    // SAFETY: there is nothing to drop. The table is locked before anything of it is used; what is
    // known of its index and columns is true if it is known then. The scan key compares the index's
    // first column, a text, with a text, by the equality of text, and is copied by index_rescan.
    // The slot is of the table. Materialized, it has a copy of the row of its own, which is then
    // taken apart, and needs neither table nor scan.
    let fetch = || unsafe {
        if !ffi::ActiveSnapshotSet() {
            return Found::NoSnapshot;
        }
        let table = ffi::try_relation_open(known.table, LOCK);
        if table.is_null() {
            return Found::Changed;
        }
        if !is_known(known.table) {
            ffi::relation_close(table, KEEP);
            return Found::Changed;
        }
        let index = ffi::index_open(known.index, LOCK);
        let snapshot = ffi::GetActiveSnapshot();
        #[cfg(feature = "pg18")]
        let scan = ffi::index_beginscan(table, index, snapshot, null_mut(), 1, 0);
        #[cfg(not(feature = "pg18"))]
        let scan = ffi::index_beginscan(table, index, snapshot, 1, 0);
        let equal = pg_sys::BTEqualStrategyNumber as u16;
        ffi::ScanKeyInit(&mut key, 1, equal, pg_sys::F_TEXTEQ.into(), prefix.datum());
        ffi::index_rescan(scan, &mut key, 1, null_mut(), 0);

        let slot = ffi::table_slot_create(table, null_mut());
        let forward = pg_sys::ScanDirection::ForwardScanDirection;
        let found = match ffi::index_getnext_slot(scan, forward, slot) {
            true => {
                ffi::ExecMaterializeSlot(slot);
                ffi::slot_getsomeattrs_int(slot, (*(*table).rd_att).natts);
                Found::Row(slot)
            }
            false => {
                ffi::ExecDropSingleTupleTableSlot(slot);
                Found::Nothing
            }
        };
        ffi::index_endscan(scan);
        ffi::index_close(index, KEEP);
        ffi::relation_close(table, KEEP);
        found
    };
    // SAFETY: as the closure says of itself.
    unsafe { ffi::guarded(fetch) }
}

impl Slot {
    /// The value at this place among the table's columns. `None`: NULL, or no such column.
    pub fn get(&self, at: usize) -> Option<Datum> {
        // SAFETY: `fetch` has filled in as many values as the slot says.
        unsafe {
            let slot = &*self.0;
            let is_there = at < slot.tts_nvalid as usize && !*slot.tts_isnull.add(at);
            is_there.then(|| *slot.tts_values.add(at))
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        // After an error, Postgres itself gives back what the statement held, and is in no state to
        // be called.
        if !std::thread::panicking() {
            // SAFETY: made by `fetch`, and not dropped yet.
            unsafe { pg_sys::ExecDropSingleTupleTableSlot(self.0) };
        }
    }
}

/// A `text` as Postgres stores short ones: the length in one byte, and the bytes. (The lowest bit
/// says that it is short, on machines that are little-endian; on others it is the highest.)
struct ShortText([u8; Self::SIZE]);

impl ShortText {
    const SIZE: usize = 16;

    fn new(text: &str) -> Option<Self> {
        let mut stored = [0; Self::SIZE];
        stored.get_mut(1..=text.len())?.copy_from_slice(text.as_bytes());
        let length = 1 + text.len() as u8;
        stored[0] = if cfg!(target_endian = "little") { length << 1 | 1 } else { length | 0x80 };
        Some(Self(stored))
    }

    fn datum(&self) -> Datum {
        Datum::from(self.0.as_ptr())
    }
}
