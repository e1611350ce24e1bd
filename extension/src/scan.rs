//! A scan of `apikey.key` by its primary key, each of Postgres's handles closed when it is dropped.

#![allow(unsafe_code)]

use crate::error::{internal, report};
use pgrx::pg_sys::{self, Oid, panic::ErrorReport};
use pgrx::prelude::*;
use std::ffi::CStr;

const LOCK: i32 = pg_sys::AccessShareLock as i32;
/// As after a SELECT, locks stay until the transaction ends.
const KEEP: i32 = pg_sys::NoLock as i32;

pub struct Table(pg_sys::Relation);

impl Table {
    pub fn open() -> Result<Self, ErrorReport> {
        // SAFETY: both look a name up in the catalog; table_open raises an error for what is no table.
        unsafe {
            let schema = pg_sys::get_namespace_oid(c"apikey".as_ptr(), true);
            let table = pg_sys::get_relname_relid(c"key".as_ptr(), schema);
            if table == Oid::INVALID {
                return Err(damaged("there is no table apikey.key"));
            }
            let table = Self(pg_sys::table_open(table, LOCK));
            // Not a partitioned one, which has neither rows nor an index of its own.
            match (*(*table.0).rd_rel).relkind as u8 == pg_sys::RELKIND_RELATION {
                true => Ok(table),
                false => Err(damaged("apikey.key is not an ordinary table")),
            }
        }
    }

    pub fn owner(&self) -> Oid {
        // SAFETY: the relation is open, so that its row in the catalog is at hand.
        unsafe { (*(*self.0).rd_rel).relowner }
    }

    /// Those that were dropped have no type.
    pub fn columns(&self) -> &[pg_sys::FormData_pg_attribute] {
        // SAFETY: the relation is open. Its descriptor has `natts` rows of pg_attribute, which since Postgres 18 stand
        // behind as many digests of them, as TupleDescAttr() has it.
        unsafe {
            let descriptor = (*self.0).rd_att;
            let count = (*descriptor).natts as usize;
            #[cfg(feature = "pg18")]
            let first = (*descriptor).compact_attrs.as_ptr().add(count).cast();
            #[cfg(not(feature = "pg18"))]
            let first = (*descriptor).attrs.as_ptr();
            std::slice::from_raw_parts(first, count)
        }
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        // SAFETY: opened by `open`, and not closed yet.
        unless_failed(|| unsafe { pg_sys::table_close(self.0, KEEP) });
    }
}

/// That of the primary key, which is on the prefix alone.
pub struct Index(pg_sys::Relation);

impl Index {
    pub fn open(table: &Table) -> Result<Self, ErrorReport> {
        // SAFETY: the table is open; index_open raises an error for what is no index. Of the index, its row in the catalog
        // is read: it has one key at least, and the key's column is one of the table's.
        unsafe {
            #[cfg(feature = "pg18")]
            let index = pg_sys::RelationGetPrimaryKeyIndex(table.0, false);
            #[cfg(not(feature = "pg18"))]
            let index = pg_sys::RelationGetPrimaryKeyIndex(table.0);
            if index == Oid::INVALID {
                return Err(damaged("apikey.key has no primary key"));
            }
            let index = Self(pg_sys::index_open(index, LOCK));
            let keys = (*(*index.0).rd_index).indnkeyatts;
            let first = *(*(*index.0).rd_index).indkey.values.as_ptr();
            let column = usize::try_from(first - 1).ok().and_then(|at| table.columns().get(at));
            let is_prefix = column.is_some_and(|column| {
                is_named(column, c"prefix") && column.atttypid == pg_sys::TEXTOID
            });
            match is_prefix && keys == 1 {
                true => Ok(index),
                false => Err(damaged("the primary key of apikey.key is not a prefix")),
            }
        }
    }
}

impl Drop for Index {
    fn drop(&mut self) {
        // SAFETY: opened by `open`, and not closed yet.
        unless_failed(|| unsafe { pg_sys::index_close(self.0, KEEP) });
    }
}

pub struct Scan<'a> {
    scan: pg_sys::IndexScanDesc,
    table: &'a Table,
}

impl<'a> Scan<'a> {
    /// Of the rows with this prefix, as the caller's snapshot has them: one, or none.
    pub fn begin(table: &'a Table, index: &'a Index, prefix: &str) -> Result<Self, ErrorReport> {
        let prefix = prefix.into_datum().ok_or_else(|| internal("no prefix"))?;
        let mut key = pg_sys::ScanKeyData::default();
        // SAFETY: table and index are open and belong together; the key compares the index's first column, a text, with
        // a text by the equality of text, and is copied by index_rescan. The snapshot is that of the statement.
        unsafe {
            if !pg_sys::ActiveSnapshotSet() {
                return Err(internal("apikey was called outside of a statement"));
            }
            let snapshot = pg_sys::GetActiveSnapshot();
            let equal = pg_sys::BTEqualStrategyNumber as u16;
            pg_sys::ScanKeyInit(&mut key, 1, equal, pg_sys::F_TEXTEQ.into(), prefix);
            #[cfg(feature = "pg18")]
            let scan =
                pg_sys::index_beginscan(table.0, index.0, snapshot, std::ptr::null_mut(), 1, 0);
            #[cfg(not(feature = "pg18"))]
            let scan = pg_sys::index_beginscan(table.0, index.0, snapshot, 1, 0);
            pg_sys::index_rescan(scan, &mut key, 1, std::ptr::null_mut(), 0);
            Ok(Self { scan, table })
        }
    }

    /// The row, copied, so that nothing of it is held in the table.
    pub fn row(self) -> Option<Slot> {
        // SAFETY: the slot is of the table that is scanned. Materialized, it has its own copy of the row, which is then
        // taken apart.
        unsafe {
            let slot = Slot(pg_sys::table_slot_create(self.table.0, std::ptr::null_mut()));
            let forward = pg_sys::ScanDirection::ForwardScanDirection;
            pg_sys::index_getnext_slot(self.scan, forward, slot.0).then(|| {
                pg_sys::ExecMaterializeSlot(slot.0);
                pg_sys::slot_getsomeattrs_int(slot.0, self.table.columns().len() as i32);
                slot
            })
        }
    }
}

impl Drop for Scan<'_> {
    fn drop(&mut self) {
        // SAFETY: made by `begin`, and not ended yet.
        unless_failed(|| unsafe { pg_sys::index_endscan(self.scan) });
    }
}

/// A row that was taken apart.
pub struct Slot(*mut pg_sys::TupleTableSlot);

impl Slot {
    /// The value at this place among the table's columns. `None`: NULL, or no such column.
    pub fn get(&self, at: usize) -> Option<pg_sys::Datum> {
        // SAFETY: `Scan::row` has filled in as many values as the slot says.
        unsafe {
            let slot = &*self.0;
            let is_there = at < slot.tts_nvalid as usize && !*slot.tts_isnull.add(at);
            is_there.then(|| *slot.tts_values.add(at))
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        // SAFETY: made by `Scan::row`, and not dropped yet.
        unless_failed(|| unsafe { pg_sys::ExecDropSingleTupleTableSlot(self.0) });
    }
}

pub fn is_named(column: &pg_sys::FormData_pg_attribute, name: &CStr) -> bool {
    let stored = &column.attname.data;
    // SAFETY: the same bytes, without a sign. A name ends with a zero byte.
    let stored = unsafe { std::slice::from_raw_parts(stored.as_ptr().cast::<u8>(), stored.len()) };
    stored.starts_with(name.to_bytes_with_nul())
}

/// After an error, Postgres itself gives back what the statement held, and is in no state to be called.
fn unless_failed(release: impl FnOnce()) {
    if !std::thread::panicking() {
        release();
    }
}

pub fn damaged(what: &str) -> ErrorReport {
    report(PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, what.to_owned())
        .set_hint("Somebody changed the extension's table. Undo that, or restore it from a backup.")
}
