//! `apikey_authorize`: the verdict of a check as a decision, with whose key it is, from the row
//! that the check has read.

#![allow(unsafe_code, reason = "it calls functions of Postgres")]

use super::types::Inet;
use crate::error::internal;
use crate::table::catalog;
use crate::verification::{Hash, Question, Verdict, verify};
use apikey_core::Reason;
use pgrx::callconv::{BoxRet, FcInfo};
use pgrx::datum::{Datum, IntoDatum};
use pgrx::pg_sys::{self, FunctionCallInfo, Oid, panic::ErrorReport};
use pgrx::pgrx_sql_entity_graph::metadata::{
    ArgumentError, ReturnsError, ReturnsRef, SqlMappingRef, SqlTranslatable, TypeOrigin,
};
use pgrx::prelude::*;
use std::ptr::null_mut;

/// The columns of the type `apikey_decision`: allowed, reason, prefix, name, owner, auth, metadata,
/// tenant.
const TYPES: [Oid; 8] = [
    pg_sys::BOOLOID,
    pg_sys::TEXTOID,
    pg_sys::TEXTOID,
    pg_sys::TEXTOID,
    pg_sys::TEXTOID,
    pg_sys::JSONBOID,
    pg_sys::JSONBOID,
    pg_sys::TEXTOID,
];

/// A value of that type.
struct Decision(pg_sys::Datum);

#[pg_extern(volatile, parallel_safe)]
fn authorize_key(
    key: Option<&str>,
    ip: Option<Inet>,
    scope: Option<&str>,
    tenant: Option<&str>,
    call: FunctionCallInfo,
) -> Result<Decision, ErrorReport> {
    decide(&Question { key, ip: ip.map(|ip| ip.0), scope, tenant }, Hash::Wait, call)
}

/// The same without waiting for a slow hash.
#[pg_extern(volatile, parallel_safe)]
fn authorize_key_at_once(
    key: Option<&str>,
    ip: Option<Inet>,
    scope: Option<&str>,
    tenant: Option<&str>,
    call: FunctionCallInfo,
) -> Result<Decision, ErrorReport> {
    decide(&Question { key, ip: ip.map(|ip| ip.0), scope, tenant }, Hash::Never, call)
}

fn decide(
    question: &Question<'_>,
    hash: Hash,
    call: FunctionCallInfo,
) -> Result<Decision, ErrorReport> {
    let Verdict { reason, valid } = verify(question, hash)?;
    let mut values = [None; TYPES.len()];
    values[0] = (reason == Reason::Ok).into_datum();
    values[1] = reason.name().into_datum();
    if let Some((row, _)) = &valid {
        values[2..].copy_from_slice(&row.identity()?);
    }
    Decision::new(call, values)
}

impl Decision {
    /// Has a copy of its own of the values, which are of `TYPES`.
    fn new(
        call: FunctionCallInfo,
        values: [Option<pg_sys::Datum>; TYPES.len()],
    ) -> Result<Self, ErrorReport> {
        let mut descriptor = null_mut();
        // SAFETY: the call that is going on. The descriptor of a composite type is a copy that
        // lasts as long as it. The tuple gets as many values as the descriptor has columns, and of
        // their types; it is made in memory of the caller's.
        unsafe {
            let kind = pg_sys::get_call_result_type(call, null_mut(), &mut descriptor);
            if kind != pg_sys::TypeFuncClass::TYPEFUNC_COMPOSITE {
                return Err(internal("a decision is declared as of another type"));
            }
            let types = catalog::columns(descriptor).iter().map(|column| column.atttypid);
            // Those that were dropped have no type.
            let is_column = |type_: &Oid| *type_ != Oid::INVALID;
            if !types.clone().filter(is_column).eq(TYPES) {
                return Err(catalog::damaged("the type apikey_decision has other columns"));
            }
            let mut given = values.into_iter();
            let values = types.map(|type_| if is_column(&type_) { given.next()? } else { None });
            let (mut values, mut are_null): (Vec<_>, Vec<_>) = values
                .map(|value| (value.unwrap_or(pg_sys::Datum::null()), value.is_none()))
                .unzip();
            let tuple =
                pg_sys::heap_form_tuple(descriptor, values.as_mut_ptr(), are_null.as_mut_ptr());
            Ok(Self(pg_sys::HeapTupleHeaderGetDatum((*tuple).t_data)))
        }
    }
}

// SAFETY: `new` has made a value of the type that the function is declared to return.
unsafe impl BoxRet for Decision {
    unsafe fn box_into<'fcx>(self, fcinfo: &mut FcInfo<'fcx>) -> Datum<'fcx> {
        // SAFETY: the caller's promise that this is what the function returns.
        unsafe { fcinfo.return_raw_datum(self.0) }
    }
}

// SAFETY: the name of the type whose form `new` gives.
unsafe impl SqlTranslatable for Decision {
    const TYPE_IDENT: &'static str = pgrx::pgrx_resolved_type!(Decision);
    const TYPE_ORIGIN: TypeOrigin = TypeOrigin::External;
    const ARGUMENT_SQL: Result<SqlMappingRef, ArgumentError> =
        Ok(SqlMappingRef::literal("apikey_decision"));
    const RETURN_SQL: Result<ReturnsRef, ReturnsError> =
        Ok(ReturnsRef::One(SqlMappingRef::literal("apikey_decision")));
}
