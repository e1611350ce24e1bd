//! One key as a page shows it, and what can be done to it.

use serde_json::Value;
use tokio_postgres::{Error, Row};

use crate::admin::context::Authenticated;
use crate::admin::db::connection::Connection;

use crate::admin::key_form::is_moment;

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
const COLUMNS: &str = concat!(
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

/// What two people must not change without seeing each other's change: whether there is a key to revoke, too.
const VERSION: &str = "encode(sha256(convert_to(jsonb_build_array(k.name, k.owner, k.auth, k.allowed_ips, \
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
    /// As JSON.
    pub metadata: String,
}

impl Key {
    pub fn columns() -> &'static str {
        COLUMNS
    }

    /// From the columns after the first `skip`.
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

    /// As `<input type="datetime-local">` has it; empty for what it cannot have, which then stays as it is.
    pub fn expires_input(&self) -> String {
        let moment = self.expires_at.as_deref().unwrap_or_default().replace(' ', "T");
        if is_moment(&moment) { moment } else { String::new() }
    }
}

/// The key and its version.
pub async fn find(
    user: &Authenticated<'_>,
    prefix: &str,
) -> Result<(Key, String), crate::admin::error::Error> {
    let sql = format!(
        "SELECT {VERSION}, {COLUMNS} FROM {}apikeys AS k WHERE k.prefix = $1",
        user.permissions.schema
    );
    let row = user
        .connection
        .row(&sql, &[Some(prefix)])
        .await?
        .ok_or(crate::admin::error::Error::NoSuchKey)?;
    Ok((Key::from_row(&row, 1)?, row.try_get(0)?))
}

/// What a form asks of a key, in SQL's own spelling. `None` leaves a column as it is: naming it would have its
/// triggers look at it.
#[derive(Default)]
pub struct Changes {
    pub name: Option<String>,
    pub owner: Option<String>,
    pub auth: Option<String>,
    /// An array; empty for no rule.
    pub ips: Option<String>,
    /// Empty for never.
    pub expires_at: Option<String>,
}

impl Changes {
    pub fn is_empty(&self) -> bool {
        self.columns().all(|(_, value)| value.is_none())
    }

    fn columns(&self) -> impl Iterator<Item = (&'static str, Option<&str>)> {
        [
            ("name = $N", self.name.as_deref()),
            ("owner = $N", self.owner.as_deref()),
            ("auth = $N::jsonb", self.auth.as_deref()),
            ("allowed_ips = nullif($N, '')::inet[]", self.ips.as_deref()),
            ("expires_at = nullif($N, '')::timestamptz", self.expires_at.as_deref()),
        ]
        .into_iter()
    }
}

/// False where somebody else has changed the key since the form had it.
pub async fn change(
    connection: &Connection,
    prefix: &str,
    version: &str,
    changes: &Changes,
) -> Result<bool, Error> {
    let mut parameters = vec![Some(prefix), Some(version)];
    let mut assignments = Vec::new();
    for (assignment, value) in changes.columns().filter(|(_, value)| value.is_some()) {
        parameters.push(value);
        assignments.push(assignment.replace("$N", &format!("${}", parameters.len())));
    }
    let sql = format!(
        "UPDATE apikey.key AS k SET {} WHERE k.prefix = $1 AND {VERSION} = $2 RETURNING k.prefix",
        assignments.join(", ")
    );
    Ok(connection.row(&sql, &parameters).await?.is_some())
}

pub struct NewKey<'a> {
    pub name: &'a str,
    pub auth: &'a str,
    pub ips: &'a str,
    pub owner: &'a str,
    pub expires_at: &'a str,
    pub tenant: &'a str,
}

// The functions of the schema apikey, where nobody but the extension's owner can create another one of the same name.

/// The key, in clear, this once.
pub async fn create(user: &Authenticated<'_>, new: &NewKey<'_>) -> Result<String, Error> {
    let sql = "SELECT apikey.create_key($1, $2::jsonb, NULL::inet, nullif($3, '')::inet[], nullif($4, ''), \
               nullif($5, '')::timestamptz, $6, NULL::jsonb)";
    let parameters = [new.name, new.auth, new.ips, new.owner, new.expires_at, new.tenant].map(Some);
    Ok(user.connection.text(sql, &parameters).await?.unwrap_or_default())
}

pub async fn rotate(user: &Authenticated<'_>, prefix: &str, grace: &str) -> Result<String, Error> {
    let sql = "SELECT apikey.rotate_key($1, make_interval(secs => $2::double precision))";
    Ok(user.connection.text(sql, &[Some(prefix), Some(grace)]).await?.unwrap_or_default())
}

/// What these three say: whether this call did it.
pub async fn disable(user: &Authenticated<'_>, prefix: &str) -> Result<bool, Error> {
    done(user, "SELECT apikey.disable_key($1)", &[Some(prefix)]).await
}

pub async fn enable(user: &Authenticated<'_>, prefix: &str) -> Result<bool, Error> {
    done(user, "SELECT apikey.enable_key($1)", &[Some(prefix)]).await
}

pub async fn revoke(user: &Authenticated<'_>, prefix: &str, reason: &str) -> Result<bool, Error> {
    done(user, "SELECT apikey.revoke_key($1, $2)", &[Some(prefix), Some(reason)]).await
}

async fn done(
    user: &Authenticated<'_>,
    sql: &str,
    parameters: &[Option<&str>],
) -> Result<bool, Error> {
    match user.connection.row(sql, parameters).await? {
        Some(row) => row.try_get(0),
        None => Ok(false),
    }
}
