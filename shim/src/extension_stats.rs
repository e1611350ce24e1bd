//! What the extension has counted on its side, from the view `apikey_stats`: numbers of the Postgres server, whichever
//! shim or application asked.

use std::sync::atomic::Ordering;

use apikey_postgres::safe_query;
use prometheus_client::encoding::prometheus_text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use tokio_postgres::{Client, Error};

use crate::metrics::{Label, add};

/// The view's name, if there is one and our role may read it, which Postgres asks of the function in it, too. To find
/// that out by trying would leave an error in the server's log each time.
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
pub struct Stats(Vec<(String, i64)>);

/// `None` if there is nothing that our role may read. Without prepared statements, since there may be a pooler in between.
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

    /// In Prometheus's text format. A name that a newer extension brings is left out.
    pub fn text(&self) -> Result<String, std::fmt::Error> {
        let mut all = Registry::with_prefix("apikey_postgres");
        let checks: Family<Label, Counter> =
            add(&mut all, "checks", "Checks of keys on the Postgres server");
        let proofs: Family<Label, Counter> =
            add(&mut all, "proofs", "Whether the proof that a key matches its hash was in memory");
        let evictions: Counter =
            add(&mut all, "proof_evictions", "Proofs that others took the place of");
        let hashes: Counter = add(&mut all, "hashes", "Runs of the slow hash");
        let waits: Counter = add(&mut all, "hash_waits", "Runs that waited for their turn");
        let dropped: Counter =
            add(&mut all, "usage_dropped", "Uses that were not counted for their key");
        for (name, value) in &self.0 {
            let counter = match name.as_str() {
                "proof_hits" => proofs.get_or_create_owned(&[("result", "hit")]),
                "proof_misses" => proofs.get_or_create_owned(&[("result", "miss")]),
                "proof_evictions" => evictions.clone(),
                "hashes" => hashes.clone(),
                "hash_waits" => waits.clone(),
                "usage_dropped" => dropped.clone(),
                name => match OUTCOMES.iter().find(|outcome| **outcome == name) {
                    Some(outcome) => checks.get_or_create_owned(&[("outcome", outcome)]),
                    None => continue,
                },
            };
            counter.inner().store(value.unsigned_abs(), Ordering::Relaxed);
        }
        let mut text = String::new();
        encode(&mut text, &all)?;
        Ok(text)
    }
}

const OUTCOMES: [&str; 9] = [
    "accepted",
    "wrong_address",
    "malformed",
    "unknown_prefix",
    "wrong_secret",
    "wrong_tenant",
    "revoked",
    "disabled",
    "expired",
];
