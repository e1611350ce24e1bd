//! One key as a page shows it.

use serde_json::Value;
use tokio_postgres::{Error, Row};

use crate::db::connection::Connection;

/// A time in this format, or in Postgres's own words where it is infinite or before our era.
macro_rules! moment {
    ($column:literal, $format:literal) => {
        concat!(
            "CASE WHEN isfinite(",
            $column,
            ") AND ",
            $column,
            " >= '0001-01-01' THEN to_char(",
            $column,
            ", '",
            $format,
            "') ELSE ",
            $column,
            "::text END"
        )
    };
}
pub(super) use moment;

macro_rules! minute {
    ($column:literal) => {
        moment!($column, "YYYY-MM-DD HH24:MI")
    };
}

/// Times are in the session's time zone, to the minute, as a form has them.
pub(super) const COLUMNS: &str = concat!(
    "k.prefix, k.name, k.owner, k.status, k.auth::text,
     coalesce(string_to_array(array_to_string(k.allowed_ips, ','), ','), '{}'), k.tenant, ",
    minute!("k.created_at"),
    ", k.created_by, ",
    "CASE WHEN k.expires_at < 'infinity' THEN ",
    minute!("k.expires_at"),
    " END, ",
    minute!("k.disabled_at"),
    ", ",
    minute!("k.revoked_at"),
    ", k.revoked_by, k.revoke_reason, k.replaced_by, ",
    minute!("k.last_used_at"),
    ", host(k.last_used_ip), k.accepted, k.refused, k.metadata::text"
);

/// A hash of what two people must not change without seeing each other's change. Whether there is a
/// key to revoke belongs to it.
pub(super) const VERSION: &str = "encode(sha256(convert_to(jsonb_build_array(k.name, k.owner, k.auth, k.allowed_ips, \
    extract(epoch FROM k.expires_at)::text, k.revoked_at IS NULL, k.replaced_by)::text, 'UTF8')), 'hex')";

pub struct Key {
    pub prefix: String,
    pub name: String,
    pub owner: String,
    pub status: String,
    pub auth: Value,
    pub ips: Vec<String>,
    pub tenant: String,
    pub created_at: String,
    pub created_by: String,
    pub expires_at: Option<String>,
    pub disabled_at: Option<String>,
    pub revoked_at: Option<String>,
    pub revoked_by: Option<String>,
    pub revoke_reason: Option<String>,
    pub replaced_by: Option<String>,
    pub last_used_at: Option<String>,
    pub last_used_ip: Option<String>,
    pub accepted: i64,
    pub refused: i64,
    /// JSON, as Postgres writes it.
    pub metadata: String,
}

impl Key {
    /// Reads the columns after the first `skip`.
    pub fn from_row(row: &Row, skip: usize) -> Result<Self, Error> {
        let auth: String = row.try_get(skip + 4)?;
        Ok(Self {
            prefix: row.try_get(skip)?,
            name: row.try_get(skip + 1)?,
            owner: row.try_get(skip + 2)?,
            status: row.try_get(skip + 3)?,
            auth: serde_json::from_str(&auth).unwrap_or_default(),
            ips: row.try_get(skip + 5)?,
            tenant: row.try_get(skip + 6)?,
            created_at: row.try_get(skip + 7)?,
            created_by: row.try_get(skip + 8)?,
            expires_at: row.try_get(skip + 9)?,
            disabled_at: row.try_get(skip + 10)?,
            revoked_at: row.try_get(skip + 11)?,
            revoked_by: row.try_get(skip + 12)?,
            revoke_reason: row.try_get(skip + 13)?,
            replaced_by: row.try_get(skip + 14)?,
            last_used_at: row.try_get(skip + 15)?,
            last_used_ip: row.try_get(skip + 16)?,
            accepted: row.try_get(skip + 17)?,
            refused: row.try_get(skip + 18)?,
            metadata: row.try_get(skip + 19)?,
        })
    }

    pub fn is_revoked(&self) -> bool {
        self.revoked_at.is_some()
    }

    /// Whether `apikey_rotate` would take it.
    pub fn can_rotate(&self) -> bool {
        ["active", "expiring"].contains(&self.status.as_str())
    }
}

/// The key and its version.
pub async fn find(
    connection: &Connection,
    schema: &str,
    prefix: &str,
) -> Result<Option<(Key, String)>, Error> {
    let sql = format!("SELECT {VERSION}, {COLUMNS} FROM {schema}apikeys AS k WHERE k.prefix = $1");
    let row = connection.row(&sql, &[Some(prefix)]).await?;
    row.map(|row| Ok((Key::from_row(&row, 1)?, row.try_get(0)?))).transpose()
}
