//! libpq's `target_session_attrs`: which of the servers that a connection string names will do
//! (PostgreSQL manual, "Database Connection Control Functions").

use tokio_postgres::{Connection, Socket};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wanted {
    #[default]
    Any,
    ReadWrite,
    ReadOnly,
    Primary,
    Standby,
    PreferStandby,
}

/// What a server says of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes {
    pub is_standby: bool,
    /// True also if only the setting `default_transaction_read_only` makes it so.
    pub is_read_only: bool,
}

impl Wanted {
    pub fn parse(value: &str) -> Option<Self> {
        Some(match value {
            "any" => Self::Any,
            "read-write" => Self::ReadWrite,
            "read-only" => Self::ReadOnly,
            "primary" => Self::Primary,
            "standby" => Self::Standby,
            "prefer-standby" => Self::PreferStandby,
            _ => return None,
        })
    }

    /// What to look for in all servers first, and what next if there is none.
    pub fn in_turn(self) -> &'static [Self] {
        match self {
            Self::Any => &[Self::Any],
            Self::ReadWrite => &[Self::ReadWrite],
            Self::ReadOnly => &[Self::ReadOnly],
            Self::Primary => &[Self::Primary],
            Self::Standby => &[Self::Standby],
            Self::PreferStandby => &[Self::Standby, Self::Any],
        }
    }

    /// What is wrong with a server.
    pub fn objection(self, to: Attributes) -> Option<&'static str> {
        match self {
            Self::ReadWrite if to.is_read_only => Some("it is read-only"),
            Self::ReadOnly if !to.is_read_only => Some("it is not read-only"),
            Self::Primary if to.is_standby => Some("it is a standby"),
            Self::Standby if !to.is_standby => Some("it is no standby"),
            _ => None,
        }
    }
}

impl Attributes {
    /// What the server has reported last. It does so of its own accord, at the latest with the next
    /// answer after a change; a pooler does not.
    pub fn reported<T>(connection: &Connection<Socket, T>) -> Option<Self>
    where
        T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    {
        let is_on = |name| connection.parameter(name).map(|value| value == "on");
        let is_standby = is_on("in_hot_standby")?;
        let is_read_only = is_standby || is_on("default_transaction_read_only")?;
        Some(Self { is_standby, is_read_only })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_suits_whom() {
        let primary = Attributes { is_standby: false, is_read_only: false };
        let closed = Attributes { is_standby: false, is_read_only: true };
        let standby = Attributes { is_standby: true, is_read_only: true };
        for (wanted, suited) in [
            ("any", [true, true, true]),
            ("read-write", [true, false, false]),
            ("read-only", [false, true, true]),
            ("primary", [true, true, false]),
            ("standby", [false, false, true]),
            ("prefer-standby", [true, true, true]),
        ] {
            let suits = |server| {
                let turns = Wanted::parse(wanted).map(Wanted::in_turn).unwrap_or_default();
                turns.iter().any(|turn| turn.objection(server).is_none())
            };
            assert_eq!([primary, closed, standby].map(suits), suited, "{wanted}");
        }
        assert_eq!(Wanted::parse("read_write"), None);
        assert_eq!(Wanted::PreferStandby.in_turn()[0].objection(primary), Some("it is no standby"));
    }
}
