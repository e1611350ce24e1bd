//! What can go wrong, and what a person may read about it, which is a sentence of ours.
//! The database's own words go to the log, without what a row held.

use std::error::Error as _;
use std::fmt::Display;

use hyper::StatusCode;

use tracing::warn;

use crate::lang::Texts;
use crate::log_target;

/// Why a whole request comes to nothing. What is wrong with a field is said beside the field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    BadRequest,
    TooLarge,
    SlowClient,
    /// The browser has another name for us than those that we go by.
    Misdirected,
    /// There is no place for this request among all, or among those of its session.
    Crowded,
    NotFound,
    MethodNotAllowed,
    /// A form that these pages did not give to this browser, or not in this session.
    Forged,
    /// The role has no right to it.
    NotAllowed,
    NoSuchKey,
    /// The key is no longer in the state that this takes: revoked, rotated, disabled.
    WrongState,
    /// A form that made a key, sent once more.
    SentBefore,
    /// Another key has the name.
    NameTaken,
    /// A rule of the table, which the form should have known.
    RuleBroken,
    ReadOnly,
    NoExtension,
    /// It lacks what these pages ask for.
    OldExtension,
    /// The database cannot be reached, or ended the connection.
    Away,
    /// It gave no answer in time.
    TooSlow,
    Internal,
}

impl Error {
    /// The error that an SQLSTATE stands for (PostgreSQL manual, appendix A).
    pub fn of(error: &tokio_postgres::Error) -> Self {
        let kind = match error.code().map(|code| code.code()) {
            None => Self::Away,
            Some("42501") => Self::NotAllowed,
            Some("42704") => Self::NoSuchKey,
            Some("55000") => Self::WrongState,
            Some("23505") => Self::NameTaken,
            Some("23514" | "22023" | "22004") => Self::RuleBroken,
            Some("42703" | "42883" | "42P01" | "3F000") => Self::OldExtension,
            Some("25006") => Self::ReadOnly,
            Some("57014" | "55P03" | "40P01") => Self::TooSlow,
            // Shutdowns, start-ups, too many connections, and what poolers say.
            Some(code) if ["57", "53", "08"].contains(&&code[..2]) => Self::Away,
            Some(_) => Self::Internal,
        };
        match error.as_db_error() {
            Some(said) => {
                let (said, sqlstate) = (said.message(), said.code().code());
                warn!(target: log_target::ADMIN, said, sqlstate, "an action of the admin page was not done");
            }
            None => {
                let cause = error.source().map(ToString::to_string).unwrap_or_default();
                warn!(target: log_target::ADMIN, %error, cause, "the admin page has no connection to the database");
            }
        }
        kind
    }

    pub fn internal(error: &dyn Display) -> Self {
        warn!(target: log_target::ADMIN, %error, "the admin page failed");
        Self::Internal
    }

    pub fn status(self) -> StatusCode {
        match self {
            Self::BadRequest => StatusCode::BAD_REQUEST,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::SlowClient => StatusCode::REQUEST_TIMEOUT,
            Self::Misdirected => StatusCode::MISDIRECTED_REQUEST,
            Self::NotFound | Self::NoSuchKey => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Forged | Self::NotAllowed => StatusCode::FORBIDDEN,
            Self::WrongState | Self::SentBefore | Self::NameTaken => StatusCode::CONFLICT,
            Self::RuleBroken => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Crowded
            | Self::ReadOnly
            | Self::NoExtension
            | Self::OldExtension
            | Self::Away
            | Self::TooSlow => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    pub fn sentence(self, texts: &Texts) -> &'static str {
        match self {
            Self::BadRequest => texts.bad_request,
            Self::TooLarge => texts.too_large,
            Self::SlowClient => texts.slow_client,
            Self::Misdirected => texts.misdirected,
            Self::Crowded => texts.crowded,
            Self::NotFound => texts.not_found,
            Self::MethodNotAllowed => texts.method_not_allowed,
            Self::Forged => texts.forged,
            Self::NotAllowed => texts.not_allowed,
            Self::NoSuchKey => texts.no_such_key,
            Self::WrongState => texts.wrong_state,
            Self::SentBefore => texts.sent_before,
            Self::NameTaken => texts.name_taken,
            Self::RuleBroken => texts.rule_broken,
            Self::ReadOnly => texts.read_only,
            Self::NoExtension => texts.no_extension,
            Self::OldExtension => texts.old_extension,
            Self::Away => texts.away,
            Self::TooSlow => texts.too_slow,
            Self::Internal => texts.internal,
        }
    }
}

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::of(&error)
    }
}
