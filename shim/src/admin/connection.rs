//! One connection of a person's role.

use std::time::{Duration, Instant};

use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Config, Error, Row};
use tokio_postgres_rustls::MakeRustlsConnect;

/// Statements are sent unnamed, with the types of their parameters: one round trip each, and no matter to a
/// pooler. Parameters are text, which statements cast.
pub struct Connection {
    client: Client,
    used: Instant,
}

impl Connection {
    pub async fn open(
        config: &Config,
        tls: MakeRustlsConnect,
        patience: Duration,
    ) -> Result<Self, Error> {
        let (client, driver) = config.connect(tls).await?;
        tokio::spawn(async move {
            // Its errors come out of the statement that waits, too.
            let _ = driver.await;
        });
        // No object of anybody's own stands for one of Postgres's, and nothing runs on after we gave up. ISO dates
        // are what to_char and casts agree on.
        let session = format!(
            "SET search_path = pg_catalog, pg_temp; SET statement_timeout = {}; SET DateStyle = ISO, YMD; \
             SET default_transaction_isolation = 'read committed'",
            patience.as_millis()
        );
        client.batch_execute(&session).await?;
        Ok(Self { client, used: Instant::now() })
    }

    pub fn kept_at(self, now: Instant) -> Self {
        Self { used: now, ..self }
    }

    pub fn idle(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.used)
    }

    pub fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    pub async fn rows(&self, sql: &str, parameters: &[Option<&str>]) -> Result<Vec<Row>, Error> {
        let typed: Vec<(&(dyn ToSql + Sync), Type)> =
            parameters.iter().map(|value| (value as &(dyn ToSql + Sync), Type::TEXT)).collect();
        self.client.query_typed(sql, &typed).await
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

    pub async fn command(&self, sql: &str) -> Result<(), Error> {
        self.client.batch_execute(sql).await
    }
}
