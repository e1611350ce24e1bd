//! Why no server could be connected to, and what an error says of its session. For the log.

use std::error::Error as _;
use std::fmt;
use std::io;
use std::time::Duration;

use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

/// Each server that was tried, and what was wrong with it.
#[derive(Debug)]
pub struct ConnectError(pub Vec<(String, HostError)>);

#[derive(Debug)]
pub enum HostError {
    /// There is no address for its name.
    Unresolved(io::Error),
    TimedOut(Duration),
    Refused(Error),
    /// It let us in, and somebody ended the session before it could be asked anything.
    Ended(Error),
    /// It is not what `target_session_attrs` wants.
    Unsuitable(&'static str),
}

impl ConnectError {
    pub fn is_of_ended_session(&self) -> bool {
        self.0.iter().any(|(_, error)| matches!(error, HostError::Ended(_)))
    }
}

impl HostError {
    pub fn of(error: Error) -> Self {
        match error.is_closed() || error.code() == Some(&SqlState::ADMIN_SHUTDOWN) {
            true => Self::Ended(error),
            false => Self::Refused(error),
        }
    }

    /// Whether the server said something, and is only of no use to us now.
    pub fn is_answer(&self) -> bool {
        matches!(self, Self::Refused(error) | Self::Ended(error) if error.as_db_error().is_some())
    }
}

/// Whether the error is more than an ordinary one of a statement: below SQL, or the server's or a
/// pooler's last word.
pub fn ends_session(error: &Error) -> bool {
    error.as_db_error().is_none_or(|error| ["FATAL", "PANIC"].contains(&error.severity()))
}

/// Whether a prepared statement is not there, or another one of its name is: a pooler has changed
/// the session under us.
pub fn is_of_swapped_session(error: &Error) -> bool {
    let swaps = [SqlState::INVALID_SQL_STATEMENT_NAME, SqlState::DUPLICATE_PSTATEMENT];
    error.code().is_some_and(|code| swaps.contains(code))
}

/// Whether the connection was of the past: closed by a restart of the server, or its session was
/// swapped. A new connection may well get an answer.
pub fn is_stale(error: &Error) -> bool {
    match error.code() {
        Some(_) => ends_session(error) || is_of_swapped_session(error),
        None => error.is_closed() || error.source().is_some_and(|cause| cause.is::<io::Error>()),
    }
}

/// Without what a statement or a row held: SQLSTATE and message, but no detail, hint or context.
pub fn describe(error: &Error, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if let Some(database) = error.as_db_error() {
        return write!(f, "{} (SQLSTATE {})", database.message(), database.code().code());
    }
    write!(f, "{error}")?;
    let mut source = error.source();
    while let Some(cause) = source {
        write!(f, ": {cause}")?;
        source = cause.source();
    }
    Ok(())
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (host, error)) in self.0.iter().enumerate() {
            let separator = if place == 0 { "" } else { "; " };
            write!(f, "{separator}{host}: {error}")?;
        }
        Ok(())
    }
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unresolved(error) => write!(f, "its name leads to no address: {error}"),
            Self::TimedOut(limit) => {
                let limit = humantime::format_duration(*limit);
                write!(f, "no answer within {limit} (--connect-timeout)")
            }
            Self::Refused(error) | Self::Ended(error) => describe(error, f),
            Self::Unsuitable(objection) => write!(f, "{objection} (target_session_attrs)"),
        }
    }
}
