//! What `apikey_authorize` says of a key.

use tokio_postgres::{Error, Row};

use super::refusal::Refusal;

pub enum Decision {
    Allowed(Identity),
    Refused(Refusal),
}

/// Whose key it is and what it may do, as it stands in the table.
pub struct Identity {
    pub prefix: String,
    pub name: String,
    pub owner: String,
    /// JSON, as Postgres writes it.
    pub auth: String,
    /// Empty for a key without one.
    pub tenant: String,
}

impl Decision {
    /// A row of the statement, by its columns' names.
    pub fn of(row: &Row) -> Result<Self, Error> {
        if row.try_get("allowed")? {
            return Ok(Self::Allowed(Identity {
                prefix: row.try_get("prefix")?,
                name: row.try_get("name")?,
                owner: row.try_get("owner")?,
                auth: row.try_get("auth")?,
                tenant: row.try_get("tenant")?,
            }));
        }
        // A reason that we do not know yet is like the worst.
        Ok(Self::Refused(match row.try_get("reason")? {
            "wrong_address" => Refusal::WrongAddress,
            "missing_scope" => Refusal::MissingScope,
            _ => Refusal::InvalidKey,
        }))
    }
}
