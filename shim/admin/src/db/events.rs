//! The audit trail, as the view `apikey_events` has it.

use serde_json::Value;
use tokio_postgres::Error;

use crate::db::connection::Connection;
use crate::db::key::moment;

const PAGE: i64 = 50;

pub struct Event {
    pub at: String,
    pub action: String,
    pub prefix: String,
    pub changed: Value,
    pub session_role: String,
    pub acting_role: String,
    pub client_address: Option<String>,
    pub application_name: Option<String>,
}

/// The latest first.
pub struct Page {
    pub events: Vec<Event>,
    pub number: i64,
    pub more: bool,
}

/// A page of the trail of one key, or of all.
pub async fn page(
    connection: &Connection,
    schema: &str,
    prefix: Option<&str>,
    number: i64,
) -> Result<Page, Error> {
    let of_key = if prefix.is_none() { "$1::text IS NULL" } else { "e.prefix = $1" };
    let sql = format!(
        "SELECT {}, e.action, e.prefix, e.changed::text, e.session_role,
                e.acting_role, host(e.client_address), e.application_name
           FROM {schema}apikey_events AS e WHERE {of_key} ORDER BY e.at DESC, e.id LIMIT {} OFFSET {}",
        moment!("e.at", "YYYY-MM-DD HH24:MI:SS"),
        PAGE + 1,
        (number - 1) * PAGE,
    );
    let rows = connection.rows(&sql, &[prefix]).await?;
    let more = rows.len() as i64 > PAGE;
    let mut events = Vec::with_capacity(rows.len());
    for row in rows.iter().take(PAGE as usize) {
        let changed: String = row.try_get(3)?;
        events.push(Event {
            at: row.try_get(0)?,
            action: row.try_get(1)?,
            prefix: row.try_get(2)?,
            // Nested too deep to be read, it is shown as it stands.
            changed: serde_json::from_str(&changed).unwrap_or(Value::String(changed)),
            session_role: row.try_get(4)?,
            acting_role: row.try_get(5)?,
            client_address: row.try_get(6)?,
            application_name: row.try_get(7)?,
        });
    }
    Ok(Page { events, number, more })
}
