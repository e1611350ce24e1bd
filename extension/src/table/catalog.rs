//! Where `apikey.key` is, its primary key's index and its columns. Asked of the catalog once, and
//! remembered until Postgres says that something of it has changed.

use crate::error::report;
use pgrx::pg_sys::{self, Datum, Oid, panic::ErrorReport};
use pgrx::prelude::*;
use std::cell::Cell;
use std::ffi::CStr;

pub const LOCK: i32 = pg_sys::AccessShareLock as i32;
/// As after a SELECT, locks stay until the transaction ends.
pub const KEEP: i32 = pg_sys::NoLock as i32;

#[derive(Clone, Copy)]
pub struct KeyTable {
    pub table: Oid,
    pub index: Oid,
    places: Places,
}

/// Where each column stands in the table, if it has it. Each check copies them.
type Places = [Option<u16>; COLUMNS.len()];

/// A column of `apikey.key`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Column {
    Prefix,
    Verifier,
    Tag,
    Name,
    Owner,
    Auth,
    AllowedIps,
    Tenant,
    ExpiresAt,
    DisabledAt,
    RevokedAt,
    Metadata,
}

/// Each column's name and type.
const COLUMNS: [(Column, &CStr, Oid); 12] = [
    (Column::Prefix, c"prefix", pg_sys::TEXTOID),
    (Column::Verifier, c"verifier", pg_sys::TEXTOID),
    (Column::Tag, c"tag", pg_sys::INT4OID),
    (Column::Name, c"name", pg_sys::TEXTOID),
    (Column::Owner, c"owner", pg_sys::TEXTOID),
    (Column::Auth, c"auth", pg_sys::JSONBOID),
    (Column::AllowedIps, c"allowed_ips", pg_sys::INETARRAYOID),
    (Column::Tenant, c"tenant", pg_sys::TEXTOID),
    (Column::ExpiresAt, c"expires_at", pg_sys::TIMESTAMPTZOID),
    (Column::DisabledAt, c"disabled_at", pg_sys::TIMESTAMPTZOID),
    (Column::RevokedAt, c"revoked_at", pg_sys::TIMESTAMPTZOID),
    (Column::Metadata, c"metadata", pg_sys::JSONBOID),
];

/// Those that decide about no key. A check does without them, and `Row::identity` does not.
const SHOWN: [Column; 3] = [Column::Name, Column::Owner, Column::Metadata];

impl KeyTable {
    pub fn place(&self, column: Column) -> Option<usize> {
        self.places[column as usize].map(usize::from)
    }
}

thread_local! {
    static KNOWN: Cell<Option<KeyTable>> = const { Cell::new(None) };
    /// How often Postgres has said that something changed; 0 also while we have not asked it to.
    static CHANGES: Cell<u64> = const { Cell::new(0) };
    static IS_WATCHING: Cell<bool> = const { Cell::new(false) };
}

/// What is remembered. It holds only if it is still remembered once the table is locked: that is
/// when Postgres says what others have changed.
pub fn known() -> Option<KeyTable> {
    KNOWN.get()
}

/// For a table that was opened by what is `known`.
pub fn is_known(table: Oid) -> bool {
    KNOWN.get().is_some_and(|known| known.table == table)
}

/// What the catalog says now. The table stays locked, and with it what this says true, until the
/// transaction ends.
pub fn look_up() -> Result<KeyTable, ErrorReport> {
    watch();
    loop {
        let changes = CHANGES.get();
        let oid = named()?;
        let Some(table) = Table::open(oid) else { continue };
        // Somebody may have given the name to another one before it was locked.
        if named()? != oid {
            continue;
        }
        let found =
            KeyTable { table: oid, index: table.index()?, places: places(table.columns())? };
        // What changed meanwhile may be true already, and may not be.
        if CHANGES.get() == changes {
            KNOWN.set(Some(found));
        }
        return Ok(found);
    }
}

fn named() -> Result<Oid, ErrorReport> {
    // SAFETY: both look a name up in the catalog.
    let table = unsafe {
        let schema = pg_sys::get_namespace_oid(c"apikey".as_ptr(), true);
        pg_sys::get_relname_relid(c"key".as_ptr(), schema)
    };
    match table {
        Oid::INVALID => Err(damaged("there is no table apikey.key")),
        table => Ok(table),
    }
}

/// Once per backend: such a watch cannot be given up.
fn watch() {
    if IS_WATCHING.replace(true) {
        return;
    }
    let nothing = Datum::null();
    // SAFETY: both functions stay loaded as long as the backend, have the signatures that Postgres
    // expects, and do nothing but set numbers.
    unsafe {
        pg_sys::CacheRegisterRelcacheCallback(Some(relation_changed), nothing);
        let schemas = pg_sys::SysCacheIdentifier::NAMESPACEOID as i32;
        pg_sys::CacheRegisterSyscacheCallback(schemas, Some(schema_changed), nothing);
    }
}

/// A change of a table's columns, indexes, owner, name or schema, and its end, all come as one of
/// its relation.
unsafe extern "C-unwind" fn relation_changed(_: Datum, relation: Oid) {
    let concerns_us =
        |known: KeyTable| [Oid::INVALID, known.table, known.index].contains(&relation);
    if KNOWN.get().is_none_or(concerns_us) {
        forget();
    }
}

unsafe extern "C-unwind" fn schema_changed(_: Datum, _: i32, _: u32) {
    forget();
}

fn forget() {
    KNOWN.set(None);
    CHANGES.set(CHANGES.get().wrapping_add(1));
}

struct Table(pg_sys::Relation);

impl Table {
    /// `None`: it has gone.
    fn open(table: Oid) -> Option<Self> {
        // SAFETY: looks it up in the catalog, and takes the lock.
        let table = unsafe { pg_sys::try_relation_open(table, LOCK) };
        // Not then_some, which would make one of nothing, only to drop it: that closes it.
        (!table.is_null()).then(|| Self(table))
    }

    /// That of the primary key, which has to be on the prefix alone.
    fn index(&self) -> Result<Oid, ErrorReport> {
        // SAFETY: the relation is open, so that its row in the catalog is at hand. Of the index,
        // which is the table's and therefore there, its own row is read: it has one key at least.
        unsafe {
            // Not a partitioned one, which has neither rows nor an index of its own.
            if (*(*self.0).rd_rel).relkind as u8 != pg_sys::RELKIND_RELATION {
                return Err(damaged("apikey.key is not an ordinary table"));
            }
            #[cfg(feature = "pg18")]
            let oid = pg_sys::RelationGetPrimaryKeyIndex(self.0, false);
            #[cfg(not(feature = "pg18"))]
            let oid = pg_sys::RelationGetPrimaryKeyIndex(self.0);
            if oid == Oid::INVALID {
                return Err(damaged("apikey.key has no primary key"));
            }
            let index = pg_sys::index_open(oid, LOCK);
            let keys = (*(*index).rd_index).indnkeyatts;
            let first = *(*(*index).rd_index).indkey.values.as_ptr();
            pg_sys::index_close(index, KEEP);
            let column = usize::try_from(first - 1).ok().and_then(|at| self.columns().get(at));
            let is_prefix = column.is_some_and(|column| {
                is_named(column, c"prefix") && column.atttypid == pg_sys::TEXTOID
            });
            match is_prefix && keys == 1 {
                true => Ok(oid),
                false => Err(damaged("the primary key of apikey.key is not a prefix")),
            }
        }
    }

    /// Those that were dropped have no type.
    fn columns(&self) -> &[pg_sys::FormData_pg_attribute] {
        // SAFETY: the relation is open, and its descriptor with it.
        unsafe { columns((*self.0).rd_att) }
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        // After an error, Postgres itself gives back what the statement held, and is in no state to
        // be called.
        if !std::thread::panicking() {
            // SAFETY: opened by `open`, and not closed yet.
            unsafe { pg_sys::relation_close(self.0, KEEP) };
        }
    }
}

/// # Safety
/// The descriptor is a whole one, and lasts as long as what is read of it.
pub unsafe fn columns<'a>(descriptor: pg_sys::TupleDesc) -> &'a [pg_sys::FormData_pg_attribute] {
    // SAFETY: it has `natts` rows of pg_attribute, which since Postgres 18 stand behind as many
    // digests of them, as TupleDescAttr() has it.
    unsafe {
        let count = (*descriptor).natts as usize;
        #[cfg(feature = "pg18")]
        let first = (*descriptor).compact_attrs.as_ptr().add(count).cast();
        #[cfg(not(feature = "pg18"))]
        let first = (*descriptor).attrs.as_ptr();
        std::slice::from_raw_parts(first, count)
    }
}

fn places(columns: &[pg_sys::FormData_pg_attribute]) -> Result<Places, ErrorReport> {
    let mut places = [None; COLUMNS.len()];
    for (column, name, type_) in COLUMNS {
        let place = columns.iter().position(|column| is_named(column, name));
        match place {
            Some(at) if columns[at].atttypid == type_ => {
                places[column as usize] = at.try_into().ok();
            }
            _ if SHOWN.contains(&column) => {}
            Some(_) => return Err(damaged("a column of apikey.key has another type")),
            // Without tags, keys are as safe: their secrets are hashed.
            None if column == Column::Tag => {}
            None => return Err(damaged("a column of apikey.key is gone")),
        }
    }
    Ok(places)
}

fn is_named(column: &pg_sys::FormData_pg_attribute, name: &CStr) -> bool {
    let stored = &column.attname.data;
    // SAFETY: the same bytes, without a sign. A name ends with a zero byte.
    let stored = unsafe { std::slice::from_raw_parts(stored.as_ptr().cast::<u8>(), stored.len()) };
    stored.starts_with(name.to_bytes_with_nul())
}

pub fn damaged(what: &str) -> ErrorReport {
    report(PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, what.to_owned())
        .set_hint("Somebody changed the extension's table. Undo that, or restore it from a backup.")
}
