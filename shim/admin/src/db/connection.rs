//! One connection of a person's role.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Config, Error, Row};
use tokio_postgres_rustls::MakeRustlsConnect;

/// Statements are sent unnamed, with the types of their parameters, which are text that statements
/// cast. Each is in a transaction, which begins by setting what it needs: through a pooler, the
/// next one may be in another session.
pub struct Connection {
    client: Client,
    opened: Instant,
    begin: String,
    is_in_transaction: AtomicBool,
}

impl Connection {
    pub async fn open(
        config: &Config,
        tls: MakeRustlsConnect,
        timeout: Duration,
    ) -> Result<Self, Error> {
        // What happens to the role after this moment may go unnoticed.
        let opened = Instant::now();
        let (client, driver) = config.connect(tls).await?;
        tokio::spawn(async move {
            // Its errors come out of the statement that waits, too.
            let _ = driver.await;
        });
        // No object of anybody's own stands for one of Postgres's, and nothing runs on after we
        // gave up. ISO dates are what to_char and casts agree on.
        let begin = format!(
            "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL search_path = pg_catalog, pg_temp; \
             SET LOCAL statement_timeout = {}; SET LOCAL DateStyle = ISO, YMD",
            timeout.as_millis()
        );
        Ok(Self { client, opened, begin, is_in_transaction: AtomicBool::new(false) })
    }

    /// How long ago role and password were proven.
    pub fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.opened)
    }

    pub fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// What follows, until `end`, is one transaction.
    pub async fn begin(&self) -> Result<(), Error> {
        let begun = self.client.batch_execute(&self.begin).await;
        if begun.is_err() && !self.is_closed() {
            // It may have begun all the same.
            self.client.batch_execute("ROLLBACK").await?;
        }
        self.is_in_transaction.store(begun.is_ok(), Ordering::Relaxed);
        begun
    }

    pub async fn end(&self, keep: bool) -> Result<(), Error> {
        self.is_in_transaction.store(false, Ordering::Relaxed);
        self.client.batch_execute(if keep { "COMMIT" } else { "ROLLBACK" }).await
    }

    pub async fn rows(&self, sql: &str, parameters: &[Option<&str>]) -> Result<Vec<Row>, Error> {
        let typed: Vec<(&(dyn ToSql + Sync), Type)> =
            parameters.iter().map(|value| (value as &(dyn ToSql + Sync), Type::TEXT)).collect();
        if self.is_in_transaction.load(Ordering::Relaxed) {
            return self.client.query_typed(sql, &typed).await;
        }
        self.begin().await?;
        let rows = self.client.query_typed(sql, &typed).await;
        let ended = self.end(rows.is_ok()).await;
        let rows = rows?;
        ended.map(|()| rows)
    }

    pub async fn row(&self, sql: &str, parameters: &[Option<&str>]) -> Result<Option<Row>, Error> {
        Ok(self.rows(sql, parameters).await?.into_iter().next())
    }

    /// The one text that a statement gives.
    pub async fn text(
        &self,
        sql: &str,
        parameters: &[Option<&str>],
    ) -> Result<Option<String>, Error> {
        match self.row(sql, parameters).await? {
            Some(row) => row.try_get(0),
            None => Ok(None),
        }
    }
}
