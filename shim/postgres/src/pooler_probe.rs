//! The first words on a new connection: is this a session of our own or a pooler's, and what kind
//! of server is it?
//!
//! A pooler in transaction mode (pgbouncer, say) hands each statement to a session that others use
//! as well. What is prepared or set in one session is not there in the next, or is somebody else's
//! of the same name. So whoever connects gives the session a mark, in the startup packet's
//! `options`: a direct connection has it, and a session of the pooler's has none or another one.

use std::time::Duration;

use tokio_postgres::{Client, Error, SimpleQueryRow};

use crate::safe_query;
use crate::session_attrs::Attributes;

/// A setting that is nobody's, and that anybody may set.
const MARK: &str = "apikey_shim.session";

pub struct Probe {
    mark: u64,
    statement_timeout: Duration,
}

pub struct Reply {
    pub is_direct: bool,
    pub attributes: Attributes,
    /// Rows of the further statements.
    pub further: Vec<SimpleQueryRow>,
}

impl Probe {
    pub fn new(statement_timeout: Duration) -> Self {
        Self { mark: rand::random(), statement_timeout }
    }

    /// The server gives up a statement when we do, and finds no object of anybody's own in place of
    /// one of Postgres's, whatever path the role or the database was given. The last option wins,
    /// so one's own come last.
    pub fn options(&self, own: Option<&str>) -> String {
        let Self { mark, statement_timeout } = self;
        let own = own.unwrap_or_default();
        let milliseconds = statement_timeout.as_millis();
        let options = format!(
            "-c {MARK}={mark} -c search_path=pg_catalog,pg_temp -c statement_timeout={milliseconds} {own}"
        );
        options.trim_end().to_owned()
    }

    /// Asks these statements, too, in the same message.
    pub async fn ask(&self, client: &Client, further: &str) -> Result<Reply, Error> {
        let statements = format!(
            "SELECT current_setting('{MARK}', true) IS NOT DISTINCT FROM '{}',
                    pg_is_in_recovery(),
                    current_setting('transaction_read_only') = 'on'; {further}",
            self.mark,
        );
        let rows = safe_query::rows(client, &statements).await?;
        let is = |column| rows.first().and_then(|row| row.get(column)) == Some("t");
        let attributes = Attributes { is_standby: is(1), is_read_only: is(2) };
        let is_direct = is(0);
        Ok(Reply { is_direct, attributes, further: rows.into_iter().skip(1).collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ones_own_options_win() {
        let probe = Probe { mark: 7, statement_timeout: Duration::from_secs(5) };
        let options = probe.options(Some("-c statement_timeout=1"));
        assert_eq!(
            options,
            "-c apikey_shim.session=7 -c search_path=pg_catalog,pg_temp -c statement_timeout=5000 \
             -c statement_timeout=1"
        );
        assert!(probe.options(None).ends_with("=5000"));
    }
}
