//! Why there is no verdict. For the log; a client only learns that there is none.

use std::error::Error as _;
use std::fmt;
use std::time::Duration;

use deadpool_postgres::{PoolError, TimeoutType};
use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

#[derive(Debug)]
pub enum Unavailable {
    /// There was no connection to be had.
    Busy,
    Pool(PoolError),
    Query(Error),
    TooSlow(Duration),
}

impl Unavailable {
    /// Postgres says that what it was asked cannot be done, which may be about a part of it. Not if it ran
    /// out of time: parts take no less.
    pub fn is_of_a_statement(&self) -> bool {
        let Self::Query(error) = self else {
            return false;
        };
        error.code().is_some_and(|code| *code != SqlState::QUERY_CANCELED) && !self.is_stale()
    }

    /// The connection was of the past: closed by a restart of the server, or its session was
    /// swapped. A new connection may well get an answer.
    pub fn is_stale(&self) -> bool {
        let Self::Query(error) = self else {
            return false;
        };
        match error.code() {
            Some(code) => {
                [SqlState::ADMIN_SHUTDOWN, SqlState::INVALID_SQL_STATEMENT_NAME].contains(code)
            }
            None => error.is_closed() || is_io(error),
        }
    }
}

fn is_io(error: &Error) -> bool {
    error.source().is_some_and(|cause| cause.is::<std::io::Error>())
}

/// Without what a statement or a row held: SQLSTATE and message, but no detail, hint or context.
impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy => {
                f.write_str("all connections of the pool were busy for too long (--pool-wait)")
            }
            Self::Pool(PoolError::Timeout(TimeoutType::Create | TimeoutType::Recycle)) => {
                f.write_str("connecting took too long (--request-timeout)")
            }
            Self::Pool(PoolError::Backend(error)) => describe(error, "cannot connect: ", f),
            Self::Pool(error) => write!(f, "connection pool: {error}"),
            Self::Query(error) => describe(error, "", f),
            Self::TooSlow(limit) => write!(
                f,
                "no answer within {} (--request-timeout)",
                humantime::format_duration(*limit)
            ),
        }
    }
}

fn describe(error: &Error, prefix: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str(prefix)?;
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
