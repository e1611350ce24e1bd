//! The scopes that the DBA keeps.

use tokio_postgres::Error;

use crate::db::connection::Connection;

pub struct Scope {
    pub name: String,
    pub description: String,
}

pub async fn known(connection: &Connection) -> Result<Vec<Scope>, Error> {
    let sql = "SELECT s.name, s.description FROM apikey.scope AS s ORDER BY s.name LIMIT 500";
    let rows = connection.rows(sql, &[]).await?;
    let scopes =
        rows.iter().map(|row| Ok(Scope { name: row.try_get(0)?, description: row.try_get(1)? }));
    scopes.collect()
}
