//! Questions to the catalog whose names are found in pg_catalog alone, whatever path the session
//! has.

use tokio_postgres::{Client, Error, SimpleQueryMessage, SimpleQueryRow};

/// Holds for the rest of the transaction, which is that of the message that this stands in.
const PATH: &str = "SELECT pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true)";

/// The rows of these statements, one after the other. All go in one message: it is one transaction,
/// and in one session through a pooler, too.
pub async fn rows(client: &Client, statements: &str) -> Result<Vec<SimpleQueryRow>, Error> {
    let messages = client.simple_query(&format!("{PATH}; {statements}")).await?;
    let rows = messages.into_iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    Ok(rows.skip(1).collect())
}
