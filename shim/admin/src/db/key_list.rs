//! The list: searching, filtering, sorting and paging are the database's work.

use tokio_postgres::Error;

use crate::db::connection::Connection;
use crate::db::key::{COLUMNS, Key};
use crate::form::Form;

pub const PAGE: i64 = 50;

/// The columns that may be sorted by.
pub const SORTS: [&str; 7] =
    ["name", "owner", "tenant", "status", "expires_at", "last_used_at", "created_at"];

pub const STATUSES: [&str; 6] =
    ["active", "expiring", "rotating", "disabled", "expired", "revoked"];

pub struct Page {
    pub keys: Vec<Key>,
    /// How many keys match.
    pub total: i64,
    pub number: i64,
}

impl Page {
    pub fn last(&self) -> i64 {
        (self.total.max(1) - 1) / PAGE + 1
    }
}

/// An empty filter lets everything pass. A scope is looked for in all three shapes of auth, where
/// an object's member counts if it is true.
pub async fn page(connection: &Connection, schema: &str, query: &Form) -> Result<Page, Error> {
    let number = page_number(query);
    let sql = format!(
        "SELECT count(*) OVER (), {COLUMNS} FROM {schema}apikeys AS k
          WHERE ($1 = '' OR position(lower($1) IN lower(k.name)) > 0 OR position(lower($1) IN lower(k.owner)) > 0
                 OR position($1 IN k.prefix) > 0)
            AND ($2 = '' OR k.status = $2)
            AND ($3 = '' OR k.owner = $3)
            AND ($4 = '' OR k.tenant = $4)
            AND ($5 = '' OR k.auth = to_jsonb($5) OR k.auth @> jsonb_build_array($5)
                 OR k.auth @> jsonb_build_object($5, true))
          ORDER BY {}, k.prefix LIMIT {PAGE} OFFSET {}",
        order(query.get("sort")),
        (number - 1) * PAGE,
    );
    let filters = ["q", "status", "owner", "tenant", "scope"].map(|name| {
        // Whose blanks are their own: these are chosen, not typed.
        let is_chosen = ["owner", "tenant"].contains(&name);
        Some(if is_chosen { query.raw(name) } else { query.get(name) })
    });
    let rows = connection.rows(&sql, &filters).await?;
    let total = rows.first().map_or(Ok(0), |row| row.try_get(0))?;
    let keys = rows.iter().map(|row| Key::from_row(row, 1)).collect::<Result<_, _>>()?;
    Ok(Page { keys, total, number })
}

/// What the filters may choose from: some owners and tenants.
pub async fn choices(connection: &Connection, schema: &str) -> Result<[Vec<String>; 2], Error> {
    let sql = format!(
        "SELECT array(SELECT DISTINCT k.owner FROM {schema}apikeys AS k ORDER BY 1 LIMIT 200), \
                array(SELECT DISTINCT k.tenant FROM {schema}apikeys AS k WHERE k.tenant <> '' ORDER BY 1 LIMIT 200)"
    );
    match connection.row(&sql, &[]).await? {
        Some(row) => Ok([row.try_get(0)?, row.try_get(1)?]),
        None => Ok([Vec::new(), Vec::new()]),
    }
}

pub fn page_number(query: &Form) -> i64 {
    query.get("page").parse().unwrap_or(1).clamp(1, 1_000_000)
}

/// The column, and whether the largest comes first. By default the newest key is on top.
pub fn sorted_by(wanted: &str) -> (&'static str, bool) {
    let (name, descending) = match wanted.strip_prefix('-') {
        Some(name) => (name, true),
        None => (wanted, false),
    };
    let known = SORTS.iter().find(|known| **known == name);
    known.map_or(("created_at", true), |known| (known, descending))
}

fn order(wanted: &str) -> String {
    let (column, descending) = sorted_by(wanted);
    let direction = if descending { "DESC" } else { "ASC" };
    match column {
        "name" | "owner" | "tenant" => format!("lower(k.{column}) {direction}"),
        _ => format!("k.{column} {direction} NULLS LAST"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_columns_are_sorted_by() {
        assert_eq!(order("name"), "lower(k.name) ASC");
        assert_eq!(order("-expires_at"), "k.expires_at DESC NULLS LAST");
        for other in ["", "-", "--name", "prefix; DROP TABLE x", "verifier"] {
            assert_eq!(order(other), "k.created_at DESC NULLS LAST", "{other}");
        }
    }

    #[test]
    fn pages_are_numbered_from_one() {
        for (query, number) in
            [("", 1), ("page=0", 1), ("page=x", 1), ("page=3", 3), ("page=-9", 1)]
        {
            assert_eq!(page_number(&Form::parse(query.as_bytes())), number, "{query}");
        }
        let page = |total| Page { keys: Vec::new(), total, number: 1 };
        assert_eq!([0, 1, 50, 51, 100].map(|total| page(total).last()), [1, 1, 1, 2, 2]);
    }
}
