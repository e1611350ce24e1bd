//! One look at a key's row: a scan of the primary key's index, without the planner, executor and copies of a
//! query. It asks for no rights on the table: EXECUTE on the functions that come here is what a caller needs.

#![allow(unsafe_code)]

use crate::error::internal;
use crate::scan::{Index, Scan, Slot, Table, damaged, is_named};
use apikey_core::{Auth, Network};
use pgrx::pg_sys::{self, Datum, Oid, panic::ErrorReport};
use std::ffi::CStr;

/// A column of `apikey.key`, and where it stands unless somebody has added columns to an older version.
struct Column {
    name: &'static CStr,
    type_: Oid,
    usual_place: usize,
}

const COLUMNS: [Column; 8] = [
    Column { name: c"verifier", type_: pg_sys::TEXTOID, usual_place: 1 },
    Column { name: c"auth", type_: pg_sys::JSONBOID, usual_place: 4 },
    Column { name: c"allowed_ips", type_: pg_sys::INETARRAYOID, usual_place: 5 },
    Column { name: c"expires_at", type_: pg_sys::TIMESTAMPTZOID, usual_place: 8 },
    Column { name: c"disabled_at", type_: pg_sys::TIMESTAMPTZOID, usual_place: 9 },
    Column { name: c"revoked_at", type_: pg_sys::TIMESTAMPTZOID, usual_place: 10 },
    Column { name: c"tenant", type_: pg_sys::TEXTOID, usual_place: 13 },
    Column { name: c"tag", type_: pg_sys::INT4OID, usual_place: 16 },
];

#[derive(Clone, Copy)]
enum Value {
    Verifier,
    Auth,
    AllowedIps,
    ExpiresAt,
    DisabledAt,
    RevokedAt,
    Tenant,
    Tag,
}

/// The row with this prefix, as the caller's snapshot has it.
pub fn find(prefix: &str) -> Result<Option<Row>, ErrorReport> {
    let table = Table::open()?;
    let places = places(&table)?;
    let index = Index::open(&table)?;
    Ok(Scan::begin(&table, &index, prefix)?.row().map(|slot| Row { slot, places }))
}

/// Where each of `COLUMNS` is, if the table has it.
fn places(table: &Table) -> Result<[Option<usize>; COLUMNS.len()], ErrorReport> {
    let columns = table.columns();
    let mut places = [None; COLUMNS.len()];
    for (number, wanted) in COLUMNS.iter().enumerate() {
        let is_here = |&at: &usize| columns.get(at).is_some_and(|it| is_named(it, wanted.name));
        let place = Some(wanted.usual_place)
            .filter(is_here)
            .or_else(|| (0..columns.len()).find(|at| is_here(at)));
        match place {
            Some(at) if columns[at].atttypid != wanted.type_ => {
                return Err(damaged("a column of apikey.key has another type"));
            }
            None if !may_lack(columns, wanted) => {
                return Err(damaged("a column of apikey.key is gone"));
            }
            _ => places[number] = place,
        }
    }
    Ok(places)
}

/// Tables of older versions are served until `ALTER EXTENSION apikey UPDATE`. Without a tag, keys are as safe. Without
/// a tenant they would be everybody's: that is version 0.1.0, which had nothing else that came with it, or damage.
fn may_lack(columns: &[pg_sys::FormData_pg_attribute], wanted: &Column) -> bool {
    let has = |name| columns.iter().any(|column| is_named(column, name));
    wanted.name == c"tag" || wanted.name == c"tenant" && !has(c"metadata") && !has(c"replaced_by")
}

/// What decides about a key.
pub struct Row {
    slot: Slot,
    places: [Option<usize>; COLUMNS.len()],
}

impl Row {
    pub fn verifier(&self) -> &str {
        self.text(Value::Verifier)
    }

    pub fn tenant(&self) -> &str {
        self.text(Value::Tenant)
    }

    pub fn auth(&self) -> Result<Auth, ErrorReport> {
        let jsonb = self.get(Value::Auth).ok_or_else(|| internal("a key has no auth"))?;
        let mut level = pg_sys::JsonbValue::default();
        // SAFETY: a jsonb, says the column. What is read of it lasts as long as the function call: the string of a scalar,
        // which most keys have, or the text that JsonbToCString writes, with a zero byte at its end.
        unsafe {
            let jsonb = pg_sys::pg_detoast_datum(jsonb.cast_mut_ptr()).cast::<pg_sys::Jsonb>();
            let root = &raw mut (*jsonb).root;
            if pg_sys::JsonbExtractScalar(root, &mut level)
                && level.type_ == pg_sys::jbvType::jbvString
            {
                let string = level.val.string;
                let bytes = std::slice::from_raw_parts(string.val.cast(), string.len as usize);
                return str::from_utf8(bytes)
                    .map(|level| Auth::Level(level.to_owned()))
                    .map_err(internal);
            }
            let text = CStr::from_ptr(pg_sys::JsonbToCString(std::ptr::null_mut(), root, 0));
            text.to_str().map_err(internal)?.parse().map_err(internal)
        }
    }

    pub fn allowed_ips(&self) -> Option<Vec<Network>> {
        let inets = self.get(Value::AllowedIps)?;
        let (mut elements, mut nulls, mut count) = (std::ptr::null_mut(), std::ptr::null_mut(), 0);
        // SAFETY: an inet[], says the column; length and alignment are those of inet in pg_type. What deconstruct_array
        // allocates lasts as long as the function call.
        unsafe {
            pg_sys::deconstruct_array(
                pg_sys::pg_detoast_datum(inets.cast_mut_ptr()).cast(),
                pg_sys::INETOID,
                -1,
                false,
                pg_sys::TYPALIGN_INT as std::ffi::c_char,
                &mut elements,
                &mut nulls,
                &mut count,
            );
            let inet =
                |at| (!*nulls.add(at)).then(|| Network::from_inet(stored(*elements.add(at))));
            Some((0..count.unsigned_abs() as usize).filter_map(inet).flatten().collect())
        }
    }

    pub fn expires_at(&self) -> Option<pg_sys::TimestampTz> {
        self.get(Value::ExpiresAt).map(|at| at.value() as pg_sys::TimestampTz)
    }

    pub fn is_disabled(&self) -> bool {
        self.get(Value::DisabledAt).is_some()
    }

    pub fn is_revoked(&self) -> bool {
        self.get(Value::RevokedAt).is_some()
    }

    pub fn tag(&self) -> Option<u32> {
        self.get(Value::Tag).map(|tag| tag.value() as u32)
    }

    fn text(&self, value: Value) -> &str {
        // SAFETY: a text, says the column. It lies in the slot, or, where it was compressed, in the memory of the call.
        let text = self.get(value).and_then(|text| str::from_utf8(unsafe { stored(text) }).ok());
        text.unwrap_or_default()
    }

    /// Of the type that `places` has seen that the column has.
    fn get(&self, value: Value) -> Option<Datum> {
        self.slot.get(self.places[value as usize]?)
    }
}

/// The bytes of a value. As a rule they are at hand; only long ones are compressed or stored elsewhere.
///
/// # Safety
/// `datum` is of a type of variable length. The bytes last as long as it does, or as the function call.
unsafe fn stored<'a>(datum: Datum) -> &'a [u8] {
    // SAFETY: by the contract above.
    unsafe {
        let value = datum.cast_mut_ptr();
        let is_short = pgrx::varatt_is_1b(value) && !pgrx::varatt_is_1b_e(value);
        let is_at_hand = is_short || pgrx::varatt_is_4b_u(value);
        let value = if is_at_hand { value } else { pg_sys::pg_detoast_datum_packed(value) };
        pgrx::varlena_to_byte_slice(value)
    }
}
