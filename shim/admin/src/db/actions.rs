//! What is done to a key, and what the keytest says of one.

use tokio_postgres::Error;

use crate::db::connection::Connection;
use crate::db::key::VERSION;

/// What a form asks of a key, in SQL's own spelling. `None` leaves a column as it is: naming it
/// would have its triggers look at it.
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

// Functions are called in the schema apikey, where only the extension's owner can create another
// one of the same name.

/// The key, in clear, this once.
pub async fn create(connection: &Connection, new: &NewKey<'_>) -> Result<String, Error> {
    let sql = "SELECT apikey.create_key($1, $2::jsonb, NULL::inet, nullif($3, '')::inet[], nullif($4, ''), \
               nullif($5, '')::timestamptz, $6, NULL::jsonb)";
    let parameters = [new.name, new.auth, new.ips, new.owner, new.expires_at, new.tenant].map(Some);
    Ok(connection.text(sql, &parameters).await?.unwrap_or_default())
}

pub async fn rotate(connection: &Connection, prefix: &str, grace: &str) -> Result<String, Error> {
    let sql = "SELECT apikey.rotate_key($1, make_interval(secs => $2::double precision))";
    Ok(connection.text(sql, &[Some(prefix), Some(grace)]).await?.unwrap_or_default())
}

/// What these three say: whether this call did it.
pub async fn disable(connection: &Connection, prefix: &str) -> Result<bool, Error> {
    done(connection, "SELECT apikey.disable_key($1)", &[Some(prefix)]).await
}

pub async fn enable(connection: &Connection, prefix: &str) -> Result<bool, Error> {
    done(connection, "SELECT apikey.enable_key($1)", &[Some(prefix)]).await
}

pub async fn revoke(connection: &Connection, prefix: &str, reason: &str) -> Result<bool, Error> {
    done(connection, "SELECT apikey.revoke_key($1, $2)", &[Some(prefix), Some(reason)]).await
}

async fn done(
    connection: &Connection,
    sql: &str,
    parameters: &[Option<&str>],
) -> Result<bool, Error> {
    match connection.row(sql, parameters).await? {
        Some(row) => row.try_get(0),
        None => Ok(false),
    }
}

/// What the keytest answers; nothing for a key that is not valid.
pub async fn check(
    connection: &Connection,
    [key, ip, tenant]: [&str; 3],
) -> Result<Option<String>, Error> {
    let sql = "SELECT apikey.check_key($1, nullif($2, '')::inet, $3)::text";
    connection.text(sql, &[key, ip, tenant].map(Some)).await
}

/// Why, in the database's words.
pub async fn explain(
    connection: &Connection,
    [key, ip, tenant]: [&str; 3],
) -> Result<Option<String>, Error> {
    let sql = "SELECT apikey.explain_key($1, nullif($2, '')::inet, $3)";
    connection.text(sql, &[key, ip, tenant].map(Some)).await
}
