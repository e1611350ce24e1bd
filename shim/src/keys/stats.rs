//! What the extension has counted on its side, from the view `apikey_stats`: numbers of the
//! Postgres server, whichever shim or application asked.

use apikey_postgres::safe_query;
use tokio_postgres::{Client, Error};

/// The view's name, if there is one and our role may read it, which Postgres asks of the function
/// in it, too. To find that out by trying would leave an error in the server's log each time.
const FIND: &str = "
SELECT format('%I.%I', s.nspname, v.relname)
  FROM pg_extension AS e
  JOIN pg_depend AS d
    ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.classid = 'pg_class'::regclass AND d.deptype = 'e'
  JOIN pg_class AS v ON v.oid = d.objid
  JOIN pg_namespace AS s ON s.oid = v.relnamespace
  JOIN pg_namespace AS fs ON fs.nspname = 'apikey'
  JOIN pg_proc AS f ON f.pronamespace = fs.oid AND f.proname = 'stats' AND f.pronargs = 0
 WHERE e.extname = 'apikey' AND v.relname = 'apikey_stats'
   AND has_schema_privilege(s.oid, 'USAGE')
   AND has_table_privilege(v.oid, 'SELECT')
   AND has_function_privilege(f.oid, 'EXECUTE')";

/// Name and value of each row.
pub struct Stats(pub Vec<(String, i64)>);

/// `None` if there is nothing that our role may read. Without prepared statements, since there may
/// be a pooler in between.
pub async fn read(client: &Client) -> Result<Option<Stats>, Error> {
    let found = safe_query::rows(client, FIND).await?;
    let Some(view) = found.first().and_then(|row| row.get(0)) else {
        return Ok(None);
    };
    let rows = client.query_typed(&format!("SELECT name, value FROM {view}"), &[]).await?;
    let rows = rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?)));
    rows.collect::<Result<_, Error>>().map(|rows| Some(Stats(rows)))
}

impl Stats {
    /// Without `shared_preload_libraries` they are of one connection, and say nothing.
    pub fn are_of_the_server(&self) -> bool {
        self.0.contains(&("preloaded".to_owned(), 1))
    }
}
