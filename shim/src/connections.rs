//! Connections to Postgres, as many as are allowed, and the one statement that they are asked.

use std::net::IpAddr;
use std::time::Duration;

use deadpool_postgres::{
    BuildError, Manager, ManagerConfig, Object, Pool, QueueMode, RecyclingMethod, Runtime, Timeouts,
};
use scopeguard::ScopeGuard;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::unavailable::Unavailable;

/// A key, where it came from, and the tenant whose key it has to be. Without `Debug`: a key is a secret.
pub struct Question {
    pub key: String,
    pub client: Option<IpAddr>,
    /// Of no account where the statement takes no tenant.
    pub tenant: String,
}

pub struct Connections {
    pool: Pool,
    statement: String,
    with_tenant: bool,
}

impl Connections {
    /// Connects to nothing yet. Version 0.1.0 of the extension takes no tenant: one shim asks in one of
    /// the two forms.
    pub fn new(
        config: tokio_postgres::Config,
        tls: MakeRustlsConnect,
        schema: Option<&str>,
        with_tenant: bool,
        size: usize,
        patience: Duration,
    ) -> Result<Self, BuildError> {
        // `Fast` asks no query of its own: a connection that is known to be closed is replaced,
        // and one that closes under a question is asked again (see `ask`).
        let recycling_method = RecyclingMethod::Fast;
        let manager = Manager::from_config(config, tls, ManagerConfig { recycling_method });
        let pool = Pool::builder(manager)
            .max_size(size)
            // The connection that was used last: its backend has everything at hand.
            .queue_mode(QueueMode::Lifo)
            .runtime(Runtime::Tokio1)
            .timeouts(Timeouts { wait: None, create: Some(patience), recycle: Some(patience) })
            .build()?;
        Ok(Self { pool, statement: statement(schema, with_tenant), with_tenant })
    }

    /// A verdict for each question, in their order, by one statement.
    pub async fn ask(&self, questions: &[Question]) -> Result<Vec<Option<String>>, Unavailable> {
        if questions.is_empty() {
            return Ok(Vec::new());
        }
        match self.ask_once(questions).await {
            // Asking twice is harmless: all that a check can change is a hash that is due.
            Err(error) if error.is_stale() => self.ask_once(questions).await,
            outcome => outcome,
        }
    }

    async fn ask_once(&self, questions: &[Question]) -> Result<Vec<Option<String>>, Unavailable> {
        let connection = self.pool.get().await.map_err(Unavailable::Pool)?;
        // What is given up (too slow) leaves a question on the connection, whose answer the next
        // one would wait for: unless all is well, it leaves the pool.
        let connection = scopeguard::guard(connection, |used| drop(Object::take(used)));
        let outcome = self.query(&connection, questions).await;
        if outcome.as_ref().err().is_none_or(leaves_connection_usable) {
            drop(ScopeGuard::into_inner(connection));
        }
        outcome.map_err(Unavailable::Query)
    }

    async fn query(
        &self,
        connection: &Object,
        questions: &[Question],
    ) -> Result<Vec<Option<String>>, tokio_postgres::Error> {
        let keys: Vec<_> = questions.iter().map(|question| question.key.as_str()).collect();
        let clients: Vec<_> = questions.iter().map(|question| question.client).collect();
        let tenants: Vec<_> = questions.iter().map(|question| question.tenant.as_str()).collect();
        let types = [Type::TEXT_ARRAY, Type::INET_ARRAY, Type::TEXT_ARRAY];
        let parameters: [&(dyn ToSql + Sync); 3] = [&keys, &clients, &tenants];
        let count = if self.with_tenant { 3 } else { 2 };

        let statement = connection.prepare_typed_cached(&self.statement, &types[..count]).await?;
        let rows = connection.query(&statement, &parameters[..count]).await?;
        rows.iter().map(|row| row.try_get(0)).collect()
    }
}

/// Each row is one call, whatever becomes of the others, and the rows come in the order of the questions.
fn statement(schema: Option<&str>, with_tenant: bool) -> String {
    let schema = schema.map(qualifier).unwrap_or_default();
    let (tenant, tenants) = if with_tenant { (", tenant", ", $3::text[]") } else { ("", "") };
    format!(
        "SELECT {schema}apikey_check(key, ip{tenant})::text \
         FROM unnest($1::text[], $2::inet[]{tenants}) WITH ORDINALITY AS q (key, ip{tenant}, place) \
         ORDER BY place"
    )
}

/// An ordinary SQL error leaves the connection in order. A forgotten statement does not (a pooler
/// in between has changed the session under us), nor does anything below SQL.
fn leaves_connection_usable(error: &tokio_postgres::Error) -> bool {
    error.code().is_some_and(|code| *code != SqlState::INVALID_SQL_STATEMENT_NAME)
}

fn qualifier(schema: &str) -> String {
    format!("\"{}\".", schema.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemas_are_quoted() {
        assert_eq!(qualifier("apikey"), "\"apikey\".");
        assert_eq!(qualifier("Odd \"name"), "\"Odd \"\"name\".");
    }
}
