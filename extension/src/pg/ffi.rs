//! Functions of Postgres as they are. pgrx guards each call of its own against Postgres's errors,
//! which jump; in a check that would be thirty guards, a tenth of its instructions. These are
//! called many under one, `guarded`.

use pgrx::pg_sys::{self, Datum, Oid};
use std::ffi::{c_char, c_int};

/// Runs what calls the functions below. An error of Postgres becomes the panic that pgrx makes of
/// it.
///
/// # Safety
/// The error jumps out of `calls` without a look back: no value in it may need to be dropped. What
/// Postgres has opened for it by then, Postgres closes when the statement fails.
pub unsafe fn guarded<T>(calls: impl FnOnce() -> T) -> T {
    // SAFETY: by the contract above, on the backend's only thread.
    unsafe { pg_sys::ffi::pg_guard_ffi_boundary(calls) }
}

// With the declarations of pgrx, from which they differ in nothing but the guard.
unsafe extern "C-unwind" {
    pub fn ActiveSnapshotSet() -> bool;
    pub fn GetActiveSnapshot() -> pg_sys::Snapshot;
    pub fn GetCurrentTimestamp() -> pg_sys::TimestampTz;
    pub fn GetCurrentTransactionStartTimestamp() -> pg_sys::TimestampTz;

    pub fn try_relation_open(relation: Oid, lock: pg_sys::LOCKMODE) -> pg_sys::Relation;
    pub fn relation_close(relation: pg_sys::Relation, lock: pg_sys::LOCKMODE);
    pub fn index_open(index: Oid, lock: pg_sys::LOCKMODE) -> pg_sys::Relation;
    pub fn index_close(index: pg_sys::Relation, lock: pg_sys::LOCKMODE);

    pub fn ScanKeyInit(
        entry: pg_sys::ScanKey,
        column: pg_sys::AttrNumber,
        strategy: pg_sys::StrategyNumber,
        procedure: pg_sys::RegProcedure,
        argument: Datum,
    );
    #[cfg(not(feature = "pg18"))]
    pub fn index_beginscan(
        table: pg_sys::Relation,
        index: pg_sys::Relation,
        snapshot: pg_sys::Snapshot,
        keys: c_int,
        order_bys: c_int,
    ) -> pg_sys::IndexScanDesc;
    #[cfg(feature = "pg18")]
    pub fn index_beginscan(
        table: pg_sys::Relation,
        index: pg_sys::Relation,
        snapshot: pg_sys::Snapshot,
        instrument: *mut pg_sys::IndexScanInstrumentation,
        keys: c_int,
        order_bys: c_int,
    ) -> pg_sys::IndexScanDesc;
    pub fn index_rescan(
        scan: pg_sys::IndexScanDesc,
        keys: pg_sys::ScanKey,
        key_count: c_int,
        order_bys: pg_sys::ScanKey,
        order_by_count: c_int,
    );
    pub fn index_getnext_slot(
        scan: pg_sys::IndexScanDesc,
        direction: pg_sys::ScanDirection::Type,
        slot: *mut pg_sys::TupleTableSlot,
    ) -> bool;
    pub fn index_endscan(scan: pg_sys::IndexScanDesc);

    pub fn table_slot_create(
        table: pg_sys::Relation,
        list: *mut *mut pg_sys::List,
    ) -> *mut pg_sys::TupleTableSlot;
    #[link_name = "ExecMaterializeSlot__pgrx_cshim"]
    pub fn ExecMaterializeSlot(slot: *mut pg_sys::TupleTableSlot);
    pub fn ExecDropSingleTupleTableSlot(slot: *mut pg_sys::TupleTableSlot);
    pub fn slot_getsomeattrs_int(slot: *mut pg_sys::TupleTableSlot, count: c_int);

    pub fn pg_detoast_datum(value: *mut pg_sys::varlena) -> *mut pg_sys::varlena;
    pub fn JsonbExtractScalar(
        jsonb: *mut pg_sys::JsonbContainer,
        scalar: *mut pg_sys::JsonbValue,
    ) -> bool;
    pub fn JsonbToCString(
        out: pg_sys::StringInfo,
        jsonb: *mut pg_sys::JsonbContainer,
        estimated_length: c_int,
    ) -> *mut c_char;
    pub fn deconstruct_array(
        array: *mut pg_sys::ArrayType,
        type_: Oid,
        length: c_int,
        is_by_value: bool,
        alignment: c_char,
        elements: *mut *mut Datum,
        nulls: *mut *mut bool,
        count: *mut c_int,
    );
}
