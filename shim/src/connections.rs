//! Connections to Postgres, as many as are allowed, and how questions are put to them.

use std::time::Duration;

use deadpool::Runtime;
use deadpool::managed::{BuildError, Object, Pool, QueueMode, Timeouts};
use scopeguard::ScopeGuard;
use tokio_postgres::Row;
use tracing::debug;

use crate::connector::{Connection, Connector};
use crate::extension_stats::{self, Stats};
use crate::statement::{Asked, Parameters, Question, Statement};
use crate::unavailable::{Unavailable, ends_session, is_of_swapped_session};

pub struct Connections {
    pool: Pool<Connector>,
    check: Statement,
    authorize: Statement,
}

impl Connections {
    /// Connects to nothing yet.
    pub fn new(
        connector: Connector,
        schema: Option<&str>,
        with_tenant: bool,
        size: usize,
        patience: Duration,
    ) -> Result<Self, BuildError> {
        let pool = Pool::builder(connector)
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

    /// Those that are open: how many are in use, and how many are not.
    pub fn open(&self) -> (usize, usize) {
        let status = self.pool.status();
        (status.size.saturating_sub(status.available), status.available)
    }

    /// What the extension has counted, if our role may read it.
    pub async fn stats(&self) -> Result<Option<Stats>, Unavailable> {
        let connection = self.pool.get().await.map_err(Unavailable::Pool)?;
        // Who gives up leaves a question on the connection, as in `ask_once`.
        let connection = scopeguard::guard(connection, |used| drop(Object::take(used)));
        let stats = extension_stats::read(&connection).await.map_err(Unavailable::Query)?;
        drop(ScopeGuard::into_inner(connection));
        Ok(stats)
    }

    /// A row for each question, in their order, in one round trip.
    pub async fn ask(&self, questions: &[Question]) -> Result<Vec<Row>, Unavailable> {
        if questions.is_empty() {
            return Ok(Vec::new());
        }
        // Asking twice is harmless: all that a check can change is a hash that is due. A server that ends
        // one session often ends all, and each attempt takes one of them out of the pool.
        for _ in 0..self.pool.status().max_size {
            match self.ask_once(questions).await {
                Err(error) if error.is_stale() => debug!(%error, "asking again"),
                outcome => return outcome,
            }
        }
        self.ask_once(questions).await
    }

    async fn ask_once(&self, questions: &[Question]) -> Result<Vec<Row>, Unavailable> {
        let connection = self.pool.get().await.map_err(Unavailable::Pool)?;
        // What is given up (too slow) leaves a question on the connection, whose answer the next
        // one would wait for: unless all is well, it leaves the pool.
        let connection = scopeguard::guard(connection, |used| drop(Object::take(used)));
        let outcome = tokio::select! {
            biased;
            outcome = self.query(&connection, questions) => outcome,
            never = self.pool.manager().doubt(&connection) => match never {},
        };
        match &outcome {
            Err(error) if is_of_swapped_session(error) => connection.turned_out_to_be_pooled(),
            Err(error) if ends_session(error) => {}
            _ => drop(ScopeGuard::into_inner(connection)),
        }
        outcome.map_err(Unavailable::Query)
    }

    /// The statements go out together, and the server answers one after the other.
    async fn query(
        &self,
        connection: &Connection,
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
    connection: &Connection,
    statement: &Statement,
    questions: &[&Question],
) -> Result<Vec<Row>, tokio_postgres::Error> {
    if questions.is_empty() {
        return Ok(Vec::new());
    }
    let (Statement { text, types }, parameters) = (statement, Parameters::of(questions));
    let parameters = parameters.all().into_iter().take(types.len());
    if connection.is_pooled() {
        // In one message with its parameters, and so in one session.
        let typed: Vec<_> = parameters.zip(types.iter().cloned()).collect();
        return connection.query_typed(text, &typed).await;
    }
    let prepared = connection.prepare_typed_cached(text, types).await?;
    connection.query(&prepared, &parameters.collect::<Vec<_>>()).await
}
