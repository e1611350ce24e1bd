//! Connections to Postgres, as many as are allowed, and how questions are put to them.

use std::sync::Arc;
use std::time::Duration;

use apikey_postgres::connect::Connector;
use apikey_postgres::error::{ends_session, is_of_swapped_session};
use apikey_postgres::log_target;
use deadpool::Runtime;
use deadpool::managed::{BuildError, Object, Pool, QueueMode, Timeouts};
use scopeguard::ScopeGuard;
use tokio_postgres::Row;
use tracing::debug;

use super::error::Unavailable;
use super::members::{Lack, Members};
use super::query::{Asked, Pace, Parameters, Question, Statement};
use super::session::{Session, Sessions};
use super::stats::{self, Stats};

/// Connections that somebody ends before they have answered, one after the other: somebody who ends
/// all of them every few milliseconds, on a busy machine, meets that many hardly ever.
const SHORT_LIVED: usize = 32;

pub struct SessionPool {
    pool: Pool<Sessions>,
}

impl SessionPool {
    /// Connects to nothing yet.
    pub fn new(connector: Connector, size: usize, timeout: Duration) -> Result<Self, BuildError> {
        let pool = Pool::builder(Sessions(connector))
            .max_size(size)
            // The connection that was used last: its backend has everything at hand.
            .queue_mode(QueueMode::Lifo)
            .runtime(Runtime::Tokio1)
            .timeouts(Timeouts { wait: None, create: Some(timeout), recycle: Some(timeout) })
            .build()?;
        Ok(Self { pool })
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
        let stats = stats::read(&connection).await.map_err(Unavailable::Query)?;
        drop(ScopeGuard::into_inner(connection));
        Ok(stats)
    }

    /// A row for each question, in their order, in one round trip.
    pub async fn ask(
        &self,
        questions: &[Arc<Question>],
        pace: Pace,
    ) -> Result<Vec<Row>, Unavailable> {
        if questions.is_empty() {
            return Ok(Vec::new());
        }
        // Asking twice is harmless: a check changes nothing. A server that ends one session often
        // ends all, and each attempt takes one of them out of the pool; and then it may end new
        // ones, too.
        for _ in 0..self.pool.status().max_size + SHORT_LIVED {
            match self.ask_once(questions, pace).await {
                Err(error) if error.is_stale() => {
                    debug!(target: log_target::DATABASE, %error, "asking again")
                }
                outcome => return outcome,
            }
        }
        self.ask_once(questions, pace).await
    }

    async fn ask_once(
        &self,
        questions: &[Arc<Question>],
        pace: Pace,
    ) -> Result<Vec<Row>, Unavailable> {
        let connection = self.pool.get().await.map_err(Unavailable::Pool)?;
        // What is given up (too slow) leaves a question on the connection, whose answer the next
        // one would wait for: unless all is well, it leaves the pool.
        let connection = scopeguard::guard(connection, |used| drop(Object::take(used)));
        let outcome = tokio::select! {
            biased;
            outcome = query(&connection, questions, pace) => outcome,
            never = self.pool.manager().0.watch_over(&connection) => match never {},
        };
        match &outcome {
            Err(Unavailable::Query(error)) if is_of_swapped_session(error) => {
                connection.turned_out_to_be_pooled();
            }
            Err(Unavailable::Query(error)) if ends_session(error) => {}
            _ => drop(ScopeGuard::into_inner(connection)),
        }
        outcome
    }
}

/// Once more, where something else is found than before, if what was found of the extension may
/// have changed since.
async fn query(
    session: &Session,
    questions: &[Arc<Question>],
    pace: Pace,
) -> Result<Vec<Row>, Unavailable> {
    let known = session.members();
    let outcome = query_by(&known, session, questions, pace).await;
    if !outcome.as_ref().is_err_and(Unavailable::may_be_of_members) {
        return outcome;
    }
    let found = session.find_members().await.map_err(Unavailable::Query)?;
    if found == known { outcome } else { query_by(&found, session, questions, pace).await }
}

/// The statements go out together, and the server answers one after the other.
async fn query_by(
    members: &Members,
    session: &Session,
    questions: &[Arc<Question>],
    pace: Pace,
) -> Result<Vec<Row>, Unavailable> {
    let is_check = |question: &&Question| matches!(question.asked, Asked::Check);
    let questions = || questions.iter().map(Arc::as_ref);
    let (checks, others): (Vec<_>, Vec<_>) = questions().partition(is_check);
    // Both to their end, also when one fails: an answer that nobody waits for stays on the
    // connection.
    let (checked, authorized) =
        tokio::join!(run(session, members, &checks, pace), run(session, members, &others, pace));
    let (mut checked, mut authorized) = (checked?.into_iter(), authorized?.into_iter());
    let next = |question| if is_check(&question) { checked.next() } else { authorized.next() };
    Ok(questions().filter_map(next).collect())
}

/// A row for each, or an error.
async fn run(
    session: &Session,
    members: &Members,
    questions: &[&Question],
    pace: Pace,
) -> Result<Vec<Row>, Unavailable> {
    if questions.is_empty() {
        return Ok(Vec::new());
    }
    let statement = members.statement(questions, pace).map_err(Unavailable::Lacking)?;
    let rows = ask(session, statement, questions).await.map_err(Unavailable::Query)?;
    match rows.len() == questions.len() {
        true => Ok(rows),
        false => Err(Unavailable::Lacking(Lack::Changing)),
    }
}

async fn ask(
    session: &Session,
    Statement { text, types }: &Statement,
    questions: &[&Question],
) -> Result<Vec<Row>, tokio_postgres::Error> {
    let parameters = Parameters::of(questions);
    let parameters = parameters.all().into_iter().take(types.len());
    if session.is_pooled() {
        // In one message with its parameters, and so in one session.
        let typed: Vec<_> = parameters.zip(types.iter().cloned()).collect();
        return session.query_typed(text, &typed).await;
    }
    let prepared = session.prepare_typed_cached(text, types).await?;
    session.query(&prepared, &parameters.collect::<Vec<_>>()).await
}
