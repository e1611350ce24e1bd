//! One look at a key's row. It asks for no rights on the table: EXECUTE on the functions that come
//! here is what a caller needs.

use super::catalog::{self, Column, KeyTable};
use super::index_scan::{self, Slot};
use crate::error::internal;
use crate::pg::ffi;
use apikey_core::{Answer, Auth, Ended, Ends, MacKey, Proof};
use apikey_format::{Key, Network};
use pgrx::pg_sys::{self, Datum, panic::ErrorReport};
use std::ffi::CStr;
use std::ptr::null_mut;
use std::slice;

/// The row with this prefix, as the caller's snapshot has it.
pub fn find(prefix: &str) -> Result<Option<Row>, ErrorReport> {
    Ok(index_scan::find(prefix)?.map(|(slot, table)| Row { slot, table }))
}

/// What decides about a key.
pub struct Row {
    slot: Slot,
    table: KeyTable,
}

impl Row {
    pub fn verifier(&self) -> &str {
        self.text(Column::Verifier)
    }

    pub fn tenant(&self) -> &str {
        self.text(Column::Tenant)
    }

    fn auth(&self) -> Result<Auth, ErrorReport> {
        let jsonb = self.get(Column::Auth).ok_or_else(|| internal("a key has no auth"))?;
        let mut level = pg_sys::JsonbValue::default();
        // SAFETY: a jsonb, says the column; nothing is dropped. What is read of it lasts as long as
        // the function call: the string of a scalar, which most keys have, or the text that
        // JsonbToCString writes, with a zero byte at its end.
        let (is_level, bytes) = unsafe {
            ffi::guarded(|| {
                let jsonb = ffi::pg_detoast_datum(jsonb.cast_mut_ptr()).cast::<pg_sys::Jsonb>();
                let root = &raw mut (*jsonb).root;
                if ffi::JsonbExtractScalar(root, &mut level)
                    && level.type_ == pg_sys::jbvType::jbvString
                {
                    let string = level.val.string;
                    let bytes = slice::from_raw_parts(string.val.cast(), string.len as usize);
                    return (true, bytes);
                }
                (false, CStr::from_ptr(ffi::JsonbToCString(null_mut(), root, 0)).to_bytes())
            })
        };
        let text = str::from_utf8(bytes).map_err(internal)?;
        if is_level { Ok(Auth::Level(text.to_owned())) } else { text.parse().map_err(internal) }
    }

    fn allowed_ips(&self) -> Option<Vec<Network>> {
        let inets = self.get(Column::AllowedIps)?;
        let (mut elements, mut nulls, mut count) = (null_mut(), null_mut(), 0);
        // SAFETY: an inet[], says the column; length and alignment are those of inet in pg_type;
        // nothing is dropped. What deconstruct_array allocates lasts as long as the function call.
        unsafe {
            ffi::guarded(|| {
                ffi::deconstruct_array(
                    ffi::pg_detoast_datum(inets.cast_mut_ptr()).cast(),
                    pg_sys::INETOID,
                    -1,
                    false,
                    pg_sys::TYPALIGN_INT as std::ffi::c_char,
                    &mut elements,
                    &mut nulls,
                    &mut count,
                );
            });
            let inet =
                |at| (!*nulls.add(at)).then(|| Network::from_inet(stored(*elements.add(at))));
            Some((0..count.unsigned_abs() as usize).filter_map(inet).flatten().collect())
        }
    }

    pub fn ended(&self, now: pg_sys::TimestampTz) -> Option<Ended> {
        let at = |column| self.get(column).map(|at| at.value() as pg_sys::TimestampTz);
        let ends = Ends {
            revoked_at: at(Column::RevokedAt),
            expires_at: at(Column::ExpiresAt),
            disabled_at: at(Column::DisabledAt),
        };
        ends.ended(|| now)
    }

    pub fn tag(&self) -> Option<u32> {
        self.get(Column::Tag).map(|tag| tag.value() as u32)
    }

    /// Of this row's key and a verifier, its own or one that renews it. Only a generated key has a
    /// tag.
    pub fn proof(&self, mac_key: &MacKey, key: Key<'_>, verifier: &str) -> Proof {
        Proof::new(mac_key, key, verifier, self.tag().is_some())
    }

    pub fn answer(&self, address: Option<&Network>) -> Result<Answer, ErrorReport> {
        Ok(Answer::new(self.auth()?, self.allowed_ips().as_deref(), address))
    }

    /// Whose key it is, as stored: prefix, name, owner, auth, metadata and tenant. It lasts as long
    /// as the row.
    pub fn identity(&self) -> Result<[Option<Datum>; 6], ErrorReport> {
        use Column::{Auth, Metadata, Name, Owner, Prefix, Tenant};
        let columns = [Prefix, Name, Owner, Auth, Metadata, Tenant];
        let is_there = |column| self.table.place(column).is_some();
        match columns.into_iter().all(is_there) {
            true => Ok(columns.map(|column| self.get(column))),
            false => Err(catalog::damaged("a column of apikey.key is gone, or has another type")),
        }
    }

    fn text(&self, column: Column) -> &str {
        // SAFETY: a text, says the column. It lies in the slot, or, where it was compressed, in the
        // memory of the call.
        let text = self.get(column).and_then(|text| str::from_utf8(unsafe { stored(text) }).ok());
        text.unwrap_or_default()
    }

    /// Of the type that `catalog` has seen that the column has.
    fn get(&self, column: Column) -> Option<Datum> {
        self.slot.get(self.table.place(column)?)
    }
}

/// The bytes of a value. As a rule they are at hand; only long ones are compressed or stored
/// elsewhere.
///
/// # Safety
/// `datum` is of a type of variable length. The bytes last as long as it does, or as the function
/// call.
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
