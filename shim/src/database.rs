//! One question to Postgres: `apikey_check`, on a bounded pool, within a bounded time.

use std::error::Error as _;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use deadpool_postgres::{
    BuildError, Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime,
    TimeoutType, Timeouts,
};
use scopeguard::ScopeGuard;
use tokio::time::timeout;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres_rustls::MakeRustlsConnect;

pub struct Database {
    pool: Pool,
    statement: String,
    statement_in_tenant: String,
    patience: Duration,
}

pub struct PoolLimits {
    pub size: usize,
    pub wait: Duration,
    /// For a whole call: waiting for a connection, connecting, asking.
    pub request: Duration,
}

/// Why there is no verdict. For the log; a client only learns that there is none.
#[derive(Debug)]
pub enum Unavailable {
    Pool(PoolError),
    Query(tokio_postgres::Error),
    TooSlow(Duration),
}

impl Database {
    /// Connects to nothing yet.
    pub fn new(
        config: tokio_postgres::Config,
        tls: MakeRustlsConnect,
        schema: Option<&str>,
        limits: PoolLimits,
    ) -> Result<Self, BuildError> {
        // `Fast` asks no query of its own: a connection that is known to be closed is replaced,
        // and one that closes under a question is asked again (see `check`).
        let recycling_method = RecyclingMethod::Fast;
        let manager = Manager::from_config(config, tls, ManagerConfig { recycling_method });
        let pool = Pool::builder(manager)
            .max_size(limits.size)
            .runtime(Runtime::Tokio1)
            .timeouts(Timeouts {
                wait: Some(limits.wait),
                create: Some(limits.request),
                recycle: Some(limits.request),
            })
            .build()?;
        let schema = schema.map(qualifier).unwrap_or_default();
        Ok(Self {
            pool,
            statement: format!("SELECT {schema}apikey_check($1::text, $2::inet)::text"),
            statement_in_tenant: format!(
                "SELECT {schema}apikey_check($1::text, $2::inet, $3::text)::text"
            ),
            patience: limits.request,
        })
    }

    /// The JSON for a valid key, `None` for any other text. With a tenant, keys of others are not
    /// valid; without, only keys that have none are.
    pub async fn check(
        &self,
        key: &str,
        client: Option<IpAddr>,
        tenant: Option<&str>,
    ) -> Result<Option<String>, Unavailable> {
        let asking = async {
            match self.ask(key, client, tenant).await {
                // Asking twice is harmless: all that a check can change is a hash that is due.
                Err(error) if error.is_stale() => self.ask(key, client, tenant).await,
                outcome => outcome,
            }
        };
        timeout(self.patience, asking).await.unwrap_or(Err(Unavailable::TooSlow(self.patience)))
    }

    async fn ask(
        &self,
        key: &str,
        client: Option<IpAddr>,
        tenant: Option<&str>,
    ) -> Result<Option<String>, Unavailable> {
        let connection = self.pool.get().await.map_err(Unavailable::Pool)?;
        // An abandoned request (too slow, client gone) leaves a question on the connection, whose
        // answer the next request would wait for: unless all is well, it leaves the pool.
        let connection = scopeguard::guard(connection, |used| drop(Object::take(used)));
        // Version 0.1.0 of the extension takes no tenant. One shim asks in one of the two forms.
        let outcome = match &tenant {
            None => query(&connection, &self.statement, &[&key, &client]).await,
            Some(tenant) => {
                query(&connection, &self.statement_in_tenant, &[&key, &client, tenant]).await
            }
        };
        if outcome.as_ref().err().is_none_or(leaves_connection_usable) {
            drop(ScopeGuard::into_inner(connection));
        }
        outcome.map_err(Unavailable::Query)
    }
}

async fn query(
    connection: &Object,
    statement: &str,
    parameters: &[&(dyn ToSql + Sync)],
) -> Result<Option<String>, tokio_postgres::Error> {
    let types = &[Type::TEXT, Type::INET, Type::TEXT][..parameters.len()];
    let statement = connection.prepare_typed_cached(statement, types).await?;
    let row = connection.query_one(&statement, parameters).await?;
    row.try_get(0)
}

/// An ordinary SQL error leaves the connection in order. A forgotten statement does not (a pooler
/// in between has changed the session under us), nor does anything below SQL.
fn leaves_connection_usable(error: &tokio_postgres::Error) -> bool {
    error.code().is_some_and(|code| *code != SqlState::INVALID_SQL_STATEMENT_NAME)
}

fn qualifier(schema: &str) -> String {
    format!("\"{}\".", schema.replace('"', "\"\""))
}

/// Without what a statement or a row held: SQLSTATE and message, but no detail, hint or context.
impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pool(PoolError::Timeout(TimeoutType::Wait)) => {
                f.write_str("all connections of the pool were busy for too long (--pool-wait)")
            }
            Self::Pool(PoolError::Timeout(_)) => {
                f.write_str("connecting took too long (--request-timeout)")
            }
            Self::Pool(PoolError::Backend(error)) => describe(error, "cannot connect: ", f),
            Self::Pool(error) => write!(f, "connection pool: {error}"),
            Self::Query(error) => describe(error, "", f),
            Self::TooSlow(limit) => write!(
                f,
                "no answer within {} (--request-timeout)",
                humantime::format_duration(*limit)
            ),
        }
    }
}

fn describe(
    error: &tokio_postgres::Error,
    prefix: &str,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    f.write_str(prefix)?;
    if let Some(database) = error.as_db_error() {
        return write!(f, "{} (SQLSTATE {})", database.message(), database.code().code());
    }
    write!(f, "{error}")?;
    let mut source = error.source();
    while let Some(cause) = source {
        write!(f, ": {cause}")?;
        source = cause.source();
    }
    Ok(())
}

impl Unavailable {
    /// The connection was of the past: closed by a restart of the server, or its session was
    /// swapped. A new connection may well get an answer.
    fn is_stale(&self) -> bool {
        let Self::Query(error) = self else {
            return false;
        };
        match error.code() {
            Some(code) => {
                [SqlState::ADMIN_SHUTDOWN, SqlState::INVALID_SQL_STATEMENT_NAME].contains(code)
            }
            None => error.is_closed() || is_io(error),
        }
    }
}

fn is_io(error: &tokio_postgres::Error) -> bool {
    error.source().is_some_and(|cause| cause.is::<std::io::Error>())
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
