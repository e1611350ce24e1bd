//! What a failure in Rust says in SQL: SQLSTATE, message and HINT. None carries a key.

use apikey_core::{HashError, NotAnAuth, VerifyError};
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

const LOWER_MEMORY: &str =
    "Free memory on the server, or allow fewer connections that check keys at once.";

pub fn from_hash(error: HashError) -> ErrorReport {
    let message = error.to_string();
    match error {
        HashError::NoRandomness(_) => report(PgSqlErrorCode::ERRCODE_SYSTEM_ERROR, message)
            .set_hint("No key was made. Check that the server's kernel provides getrandom()."),
        HashError::OutOfMemory(_) => {
            report(PgSqlErrorCode::ERRCODE_OUT_OF_MEMORY, message).set_hint(LOWER_MEMORY)
        }
        HashError::Argon2(_) => report(PgSqlErrorCode::ERRCODE_INTERNAL_ERROR, message)
            .set_hint("Check the settings apikey.argon2_*."),
    }
}

pub fn not_a_key() -> ErrorReport {
    report(PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE, "not an API key".to_owned())
        .set_hint("A key is PREFIX.SECRET: 8 and 32 characters of A-Z, a-z and 0-9.")
}

/// The table's constraints let none in, but anybody may call what takes one.
pub fn not_an_auth(error: NotAnAuth) -> ErrorReport {
    report(PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE, error.to_string()).set_hint(
        "Give a level as \"event\", a list of them, or an object such as {\"event\": true}.",
    )
}

/// A verifier that cannot be used matches no key, which is no error: `None`.
pub fn from_verify(error: VerifyError) -> Option<ErrorReport> {
    match error {
        VerifyError::UnusableVerifier => None,
        VerifyError::OutOfMemory(_) => Some(
            report(PgSqlErrorCode::ERRCODE_OUT_OF_MEMORY, error.to_string()).set_hint(LOWER_MEMORY),
        ),
    }
}

/// What the table's constraints make impossible, or what SPI refuses.
pub fn internal(error: impl std::fmt::Display) -> ErrorReport {
    report(PgSqlErrorCode::ERRCODE_INTERNAL_ERROR, error.to_string())
}

pub fn report(code: PgSqlErrorCode, message: String) -> ErrorReport {
    ErrorReport::new(code, message, "apikey")
}
