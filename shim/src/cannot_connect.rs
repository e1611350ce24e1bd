//! Why no server could be connected to. For the log.

use std::fmt;
use std::io;
use std::time::Duration;

use tokio_postgres::error::SqlState;

use crate::unavailable::describe;

/// Each server that was tried, and what was wrong with it.
#[derive(Debug)]
pub struct CannotConnect(pub Vec<(String, Refusal)>);

#[derive(Debug)]
pub enum Refusal {
    /// There is no address for its name.
    Unknown(io::Error),
    Silent(Duration),
    Refused(tokio_postgres::Error),
    /// It let us in, and somebody ended the session before it could be asked anything.
    Ended(tokio_postgres::Error),
    /// It is not what `target_session_attrs` wants.
    Unsuitable(&'static str),
}

impl CannotConnect {
    pub fn is_of_ended_session(&self) -> bool {
        self.0.iter().any(|(_, refusal)| matches!(refusal, Refusal::Ended(_)))
    }
}

impl Refusal {
    pub fn of(error: tokio_postgres::Error) -> Self {
        match error.is_closed() || error.code() == Some(&SqlState::ADMIN_SHUTDOWN) {
            true => Self::Ended(error),
            false => Self::Refused(error),
        }
    }

    /// That it said something, and is only of no use to us now.
    pub fn is_answer(&self) -> bool {
        matches!(self, Self::Refused(error) | Self::Ended(error) if error.as_db_error().is_some())
    }
}

impl fmt::Display for CannotConnect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (host, refusal)) in self.0.iter().enumerate() {
            let separator = if place == 0 { "" } else { "; " };
            write!(f, "{separator}{host}: {refusal}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(error) => write!(f, "its name leads to no address: {error}"),
            Self::Silent(limit) => {
                let limit = humantime::format_duration(*limit);
                write!(f, "no answer within {limit} (--connect-timeout)")
            }
            Self::Refused(error) | Self::Ended(error) => describe(error, f),
            Self::Unsuitable(objection) => write!(f, "{objection} (target_session_attrs)"),
        }
    }
}
