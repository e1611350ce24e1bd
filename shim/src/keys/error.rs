//! Why there is no verdict. For the log; a client only learns that there is none.

use std::fmt;
use std::time::Duration;

use apikey_postgres::error::{ConnectError, describe, is_stale};
use deadpool::managed::{PoolError, TimeoutType};
use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use super::members::Lack;

/// What an operator would look at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Too many requests for the pool, or too slow ones.
    Busy,
    /// So many requests wait already that it was not let in.
    Shed,
    /// Too many secrets of one prefix, each of which would take a slow hash.
    Hash,
    /// The server, its address, the password, TLS.
    Connect,
    /// The connection broke.
    Lost,
    /// Postgres says what is wrong.
    Sql,
    Timeout,
}

impl Kind {
    pub const ALL: [Self; 7] =
        [Self::Busy, Self::Shed, Self::Hash, Self::Connect, Self::Lost, Self::Sql, Self::Timeout];

    pub fn name(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Shed => "shed",
            Self::Hash => "hash",
            Self::Connect => "connect",
            Self::Lost => "lost",
            Self::Sql => "sql",
            Self::Timeout => "timeout",
        }
    }
}

#[derive(Debug)]
pub enum Unavailable {
    /// There was no connection to be had.
    Busy,
    /// So many wait for one that another is not let in.
    QueueFull,
    /// So many secrets of this prefix wait for a slow hash that another is not let in, or did not
    /// come to it.
    Hashing(String),
    Pool(PoolError<ConnectError>),
    Query(Error),
    /// The database or the role lacks what is asked.
    Lacking(Lack),
    TooSlow(Duration),
}

impl Unavailable {
    pub fn kind(&self) -> Kind {
        match self {
            Self::Busy => Kind::Busy,
            Self::QueueFull => Kind::Shed,
            Self::Hashing(_) => Kind::Hash,
            Self::Pool(_) => Kind::Connect,
            Self::TooSlow(_) => Kind::Timeout,
            Self::Lacking(_) => Kind::Sql,
            Self::Query(error) => match error.code() {
                Some(&SqlState::QUERY_CANCELED) => Kind::Timeout,
                Some(_) => Kind::Sql,
                None => Kind::Lost,
            },
        }
    }

    /// Postgres says that what it was asked cannot be done, which may be about a part of it. Not if
    /// it ran out of time: parts take no less.
    pub fn is_of_a_statement(&self) -> bool {
        match self {
            Self::Lacking(_) => true,
            Self::Query(error) => {
                error.code().is_some_and(|code| *code != SqlState::QUERY_CANCELED)
                    && !self.is_stale()
            }
            _ => false,
        }
    }

    /// It may be that what was found of the extension is not there any more, or that there is more
    /// by now.
    pub fn may_be_of_members(&self) -> bool {
        match self {
            Self::Lacking(_) => true,
            Self::Query(error) => error.code().is_some_and(|code| {
                [
                    SqlState::UNDEFINED_FUNCTION,
                    SqlState::INVALID_SCHEMA_NAME,
                    SqlState::INSUFFICIENT_PRIVILEGE,
                    SqlState::AMBIGUOUS_FUNCTION,
                ]
                .contains(code)
            }),
            _ => false,
        }
    }

    /// The connection was of the past, or was ended as soon as it was there. A new one may well get
    /// an answer.
    pub fn is_stale(&self) -> bool {
        match self {
            Self::Query(error) => is_stale(error),
            Self::Pool(PoolError::Backend(cause)) => cause.is_of_ended_session(),
            _ => false,
        }
    }
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy => {
                f.write_str("all connections of the pool were busy for too long (--pool-wait)")
            }
            Self::QueueFull => {
                f.write_str("too many requests wait for a connection (--pool-queue)")
            }
            Self::Hashing(prefix) => write!(
                f,
                "too many secrets of the key {prefix}, which has no tag or is new to the server, would take a slow hash"
            ),
            Self::Pool(PoolError::Timeout(TimeoutType::Create | TimeoutType::Recycle)) => {
                f.write_str("connecting took too long (--request-timeout)")
            }
            Self::Pool(PoolError::Backend(error)) => write!(f, "cannot connect: {error}"),
            Self::Pool(error) => write!(f, "connection pool: {error}"),
            Self::Query(error) => {
                describe(error, f)?;
                if error.code() == Some(&SqlState::AMBIGUOUS_FUNCTION) {
                    f.write_str(
                        ": another function has the name of the extension's own. Drop it; or run deploy/roles.sql, by \
                         which the shim may call a function in the schema apikey, where nobody else creates any",
                    )?;
                }
                Ok(())
            }
            Self::Lacking(lack) => f.write_str(lack.sentence()),
            Self::TooSlow(limit) => write!(
                f,
                "no answer within {} (--request-timeout)",
                humantime::format_duration(*limit)
            ),
        }
    }
}
