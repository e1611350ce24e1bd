//! Two types of SQL, without a detour by way of text or of a tree, which pgrx's own take.

#![allow(unsafe_code, reason = "it reads and makes values as Postgres stores them")]

use apikey_format::Network;
use pgrx::callconv::{Arg, ArgAbi, BoxRet, FcInfo};
use pgrx::datum::{Datum, FromDatum, IntoDatum};
use pgrx::pg_sys::{self, Oid};
use pgrx::pgrx_sql_entity_graph::metadata::{
    ArgumentError, ReturnsError, ReturnsRef, SqlMappingRef, SqlTranslatable, TypeOrigin,
};

/// An `inet`, which is of variable length as a `bytea` is.
pub struct Inet(pub Network);

impl FromDatum for Inet {
    unsafe fn from_polymorphic_datum(datum: pg_sys::Datum, is_null: bool, _: Oid) -> Option<Self> {
        // SAFETY: the caller's promise that this is an inet. Its bytes are copied into the network.
        let stored = unsafe { <&[u8]>::from_datum(datum, is_null) };
        stored.and_then(Network::from_inet).map(Self)
    }
}

// SAFETY: reads the argument as what SQL declares that it is.
unsafe impl<'fcx> ArgAbi<'fcx> for Inet {
    unsafe fn unbox_arg_unchecked(arg: Arg<'_, 'fcx>) -> Self {
        // SAFETY: the caller's promise.
        unsafe { arg.unbox_arg_using_from_datum() }.unwrap_or_else(|| panic!("an inet is NULL"))
    }
}

// SAFETY: the name of the type whose form `from_polymorphic_datum` reads.
unsafe impl SqlTranslatable for Inet {
    const TYPE_IDENT: &'static str = pgrx::pgrx_resolved_type!(Inet);
    const TYPE_ORIGIN: TypeOrigin = TypeOrigin::External;
    const ARGUMENT_SQL: Result<SqlMappingRef, ArgumentError> = Ok(SqlMappingRef::literal("inet"));
    const RETURN_SQL: Result<ReturnsRef, ReturnsError> =
        Ok(ReturnsRef::One(SqlMappingRef::literal("inet")));
}

/// A `json`, which is a `text` that holds JSON.
pub struct Json(pub String);

// SAFETY: a json is stored as a text is.
unsafe impl BoxRet for Json {
    unsafe fn box_into<'fcx>(self, fcinfo: &mut FcInfo<'fcx>) -> Datum<'fcx> {
        match self.0.into_datum() {
            // SAFETY: the caller's promise that this is what the function returns.
            Some(datum) => unsafe { fcinfo.return_raw_datum(datum) },
            None => fcinfo.return_null(),
        }
    }
}

// SAFETY: the name of the type whose form `box_into` gives.
unsafe impl SqlTranslatable for Json {
    const TYPE_IDENT: &'static str = pgrx::pgrx_resolved_type!(Json);
    const TYPE_ORIGIN: TypeOrigin = TypeOrigin::External;
    const ARGUMENT_SQL: Result<SqlMappingRef, ArgumentError> = Ok(SqlMappingRef::literal("json"));
    const RETURN_SQL: Result<ReturnsRef, ReturnsError> =
        Ok(ReturnsRef::One(SqlMappingRef::literal("json")));
}
