//! Connections to Postgres, as many as are allowed, and how questions are put to them.

use std::time::Duration;

use deadpool_postgres::{
    BuildError, Manager, ManagerConfig, Object, Pool, QueueMode, RecyclingMethod, Runtime, Timeouts,
};
use scopeguard::ScopeGuard;
use tokio_postgres::Row;
use tokio_postgres::error::SqlState;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::statement::{Asked, Parameters, Question, Statement};
use crate::unavailable::Unavailable;

pub struct Connections {
    pool: Pool,
    check: Statement,
    authorize: Statement,
}

impl Connections {
    /// Connects to nothing yet.
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
        let (check, authorize) =
            (Statement::check(schema, with_tenant), Statement::authorize(schema));
        Ok(Self { pool, check, authorize })
    }

    /// A row for each question, in their order, in one round trip.
    pub async fn ask(&self, questions: &[Question]) -> Result<Vec<Row>, Unavailable> {
        if questions.is_empty() {
            return Ok(Vec::new());
        }
        match self.ask_once(questions).await {
            // Asking twice is harmless: all that a check can change is a hash that is due.
            Err(error) if error.is_stale() => self.ask_once(questions).await,
            outcome => outcome,
        }
    }

    async fn ask_once(&self, questions: &[Question]) -> Result<Vec<Row>, Unavailable> {
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

    /// The statements go out together, and the server answers one after the other.
    async fn query(
        &self,
        connection: &Object,
        questions: &[Question],
    ) -> Result<Vec<Row>, tokio_postgres::Error> {
        let is_check = |question: &&Question| matches!(question.asked, Asked::Check);
        let (checks, others): (Vec<_>, Vec<_>) = questions.iter().partition(is_check);
        // Both to their end, also when one fails: an answer that nobody waits for stays on the connection.
        let (checked, authorized) = tokio::join!(
            run(connection, &self.check, &checks),
            run(connection, &self.authorize, &others)
        );
        let (mut checked, mut authorized) = (checked?.into_iter(), authorized?.into_iter());
        let next = |question| if is_check(&question) { checked.next() } else { authorized.next() };
        Ok(questions.iter().filter_map(next).collect())
    }
}

async fn run(
    connection: &Object,
    statement: &Statement,
    questions: &[&Question],
) -> Result<Vec<Row>, tokio_postgres::Error> {
    if questions.is_empty() {
        return Ok(Vec::new());
    }
    let parameters = Parameters::of(questions);
    let prepared = connection.prepare_typed_cached(&statement.text, statement.types).await?;
    connection.query(&prepared, &parameters.all()[..statement.types.len()]).await
}

/// An ordinary SQL error leaves the connection in order. A forgotten statement does not (a pooler
/// in between has changed the session under us), nor does anything below SQL.
fn leaves_connection_usable(error: &tokio_postgres::Error) -> bool {
    error.code().is_some_and(|code| *code != SqlState::INVALID_SQL_STATEMENT_NAME)
}
