//! One question to Postgres: `apikey_check` or `apikey_authorize`, within a bounded time. First at
//! once, in the company of others; and once more, alone and with a permit for that, if only a slow
//! hash can tell.

use std::slice;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::oneshot;
use tokio::task::yield_now;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_postgres::Row;

use super::batch::Queue;
use super::decision::Decision;
use super::error::Unavailable;
use super::pool::SessionPool;
use super::query::{Pace, Question, prefix_of};
use super::slow_hash::{Entry, Role, SlowHashes, TooMany};
use super::stats::Stats;

/// A batch that is out for longer holds nobody back. One takes a fraction of a millisecond, and
/// more if the kernel gives the processor to others meanwhile, or if a hash is renewed, which takes
/// about twice this.
const SLOW: Duration = Duration::from_millis(10);

pub struct Client {
    pool: SessionPool,
    queue: Mutex<Queue<Request>>,
    slow: Arc<SlowHashes>,
    limits: Limits,
}

pub struct Limits {
    pub connections: usize,
    /// Requests that wait for one, at most.
    pub waiting: usize,
    /// How long a request may wait for a connection.
    pub wait: Duration,
    /// How long a whole call may take: waiting for a connection, connecting, asking.
    pub request: Duration,
}

/// What is in use at the moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// Connections that are being asked.
    pub in_use: i64,
    pub idle: i64,
    /// Requests that wait for a connection.
    pub waiting: i64,
    /// Permits for slow hashes that are taken, and keys that wait for one.
    pub slow_in_use: i64,
    pub slow_waiting: i64,
}

/// A question and who waits for the answer.
struct Request(Arc<Question>, oneshot::Sender<Outcome>);

/// The row of a question. An error is shared by all of the batch.
type Outcome = Result<Row, Arc<Unavailable>>;

impl Client {
    pub fn new(pool: SessionPool, limits: Limits) -> Arc<Self> {
        // A quarter for slow hashes. One connection is both: then a hash holds up everybody.
        let slow = (limits.connections / 4).max(1);
        let others = limits.connections.saturating_sub(slow).max(1);
        let queue = Mutex::new(Queue::new(others, limits.waiting));
        Arc::new(Self { pool, queue, slow: SlowHashes::new(slow), limits })
    }

    /// The JSON for a valid key, `None` for any other text.
    pub async fn check(
        self: &Arc<Self>,
        question: Question,
    ) -> Result<Option<String>, Arc<Unavailable>> {
        let row = self.ask(question).await?;
        row.try_get(0).map_err(unreadable)
    }

    /// Whether the key may do this, and whose it is.
    pub async fn authorize(
        self: &Arc<Self>,
        question: Question,
    ) -> Result<Decision, Arc<Unavailable>> {
        let row = self.ask(question).await?;
        Decision::of(&row).map_err(unreadable)
    }

    async fn ask(self: &Arc<Self>, question: Question) -> Outcome {
        let deadline = Instant::now() + self.limits.request;
        let question = Arc::new(question);
        let row = self.ask_at_once(&question, deadline).await?;
        if !question.needs_hash(&row).map_err(unreadable)? {
            return Ok(row);
        }
        let too_many = || Arc::new(Unavailable::Hashing(prefix_of(&question.key).to_owned()));
        match self.slow.join(&question.key).map_err(|TooMany| too_many())? {
            Role::First(entry) => {
                // A task of its own: a hash that is abandoned half-way would cost a connection.
                let asking = tokio::spawn(self.clone().ask_slowly(question.clone(), entry));
                let outcome = timeout_at(deadline, asking).await;
                let outcome = outcome.map_err(|_| Unavailable::TooSlow(self.limits.request))?;
                outcome.unwrap_or_else(|_| Err(too_many()))
            }
            Role::Companion(end) => {
                let ended = timeout_at(deadline, end.come()).await;
                ended.map_err(|_| Unavailable::TooSlow(self.limits.request))?;
                let row = self.ask_at_once(&question, deadline).await?;
                match question.needs_hash(&row).map_err(unreadable)? {
                    false => Ok(row),
                    true => Err(too_many()),
                }
            }
        }
    }

    /// In the company of others.
    async fn ask_at_once(self: &Arc<Self>, question: &Arc<Question>, deadline: Instant) -> Outcome {
        let (sender, mut answer) = oneshot::channel();
        let ticket = self.queue().join(Request(question.clone(), sender));
        let ticket = ticket.ok_or_else(|| Arc::new(Unavailable::QueueFull))?;
        self.dispatch();

        let wait = self.limits.wait.min(self.limits.request);
        let answered = match timeout(wait, &mut answer).await {
            Err(_) if self.queue().give_up(ticket) => return Err(Arc::new(Unavailable::Busy)),
            Err(_) => timeout_at(deadline, answer).await,
            answered => answered,
        };
        match answered {
            Ok(Ok(outcome)) => outcome,
            // Somebody who came later has given up, and with him all before.
            Ok(Err(_)) => Err(Arc::new(Unavailable::Busy)),
            Err(_) => Err(Arc::new(Unavailable::TooSlow(self.limits.request))),
        }
    }

    /// Alone, and only after the others of its prefix.
    async fn ask_slowly(self: Arc<Self>, question: Arc<Question>, entry: Entry) -> Outcome {
        let permit = match timeout(self.limits.wait, entry.permit()).await {
            Ok(Ok(permit)) => permit,
            _ => return Err(Arc::new(Unavailable::Hashing(entry.prefix().to_owned()))),
        };
        let asking = self.pool.ask(slice::from_ref(&question), Pace::Patient);
        let outcome = match timeout(self.limits.request, asking).await {
            Ok(Ok(mut rows)) => rows.pop().ok_or(Unavailable::Busy).map_err(Arc::new),
            Ok(Err(cause)) => Err(Arc::new(cause)),
            Err(_) => Err(Arc::new(Unavailable::TooSlow(self.limits.request))),
        };
        if let Ok(row) = &outcome
            && question.is_refused(row).map_err(unreadable)?
        {
            entry.was_wrong(&permit);
        }
        outcome
    }

    pub fn usage(&self) -> Usage {
        let (in_use, idle) = self.pool.open();
        let (slow_in_use, slow_waiting) = self.slow.usage();
        let [in_use, idle, waiting, slow_in_use, slow_waiting] =
            [in_use, idle, self.queue().waiting(), slow_in_use, slow_waiting]
                .map(|count| count as i64);
        Usage { in_use, idle, waiting, slow_in_use, slow_waiting }
    }

    /// What the extension has counted, if our role may read it.
    pub async fn stats(&self) -> Result<Option<Stats>, Unavailable> {
        self.pool.stats().await
    }

    fn dispatch(self: &Arc<Self>) {
        let next = || self.queue().dispatch();
        while let Some(requests) = next() {
            // A task of its own, so that a request that is abandoned disturbs none of the others.
            tokio::spawn(self.clone().run_batch(requests));
        }
    }

    async fn run_batch(self: Arc<Self>, mut requests: Vec<Request>) {
        let mut batch = Batch { client: &self, is_slow: false };
        // One turn of the event loop: whose request is here already comes along.
        yield_now().await;
        requests.extend(self.queue().top_up(requests.len()));
        requests.retain(|Request(_, sender)| !sender.is_closed());
        let (questions, senders): (Vec<_>, Vec<_>) =
            requests.into_iter().map(|Request(question, sender)| (question, sender)).unzip();
        let mut asking = Box::pin(timeout(self.limits.request, self.ask_all(&questions)));
        let outcomes = match timeout(SLOW, &mut asking).await {
            Ok(outcomes) => outcomes,
            Err(_) => {
                batch.slows();
                asking.await
            }
        };
        let outcomes = outcomes.unwrap_or_else(|_| {
            same_for_all(&questions, Unavailable::TooSlow(self.limits.request))
        });
        // First the next batch, so that Postgres works while we answer.
        drop(batch);
        self.dispatch();
        for (sender, outcome) in senders.into_iter().zip(outcomes) {
            // Who has gone meanwhile needs no answer.
            let _ = sender.send(outcome);
        }
    }

    /// An outcome for each question, in their order.
    async fn ask_all(&self, questions: &[Arc<Question>]) -> Vec<Outcome> {
        match self.pool.ask(questions, Pace::AtOnce).await {
            Ok(rows) => rows.into_iter().map(Ok).collect(),
            // It may be about one key, and then the others can be answered.
            Err(cause) if questions.len() > 1 && cause.is_of_a_statement() => {
                let mut outcomes = Vec::with_capacity(questions.len());
                for question in questions {
                    let alone = slice::from_ref(question);
                    match self.pool.ask(alone, Pace::AtOnce).await {
                        Ok(rows) => outcomes.extend(rows.into_iter().map(Ok)),
                        Err(cause) => outcomes.push(Err(Arc::new(cause))),
                    }
                }
                outcomes
            }
            Err(cause) => same_for_all(questions, cause),
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue<Request>> {
        self.queue.lock()
    }
}

/// The function is not the one that we know.
fn unreadable(error: tokio_postgres::Error) -> Arc<Unavailable> {
    Arc::new(Unavailable::Query(error))
}

fn same_for_all(questions: &[Arc<Question>], cause: Unavailable) -> Vec<Outcome> {
    let cause = Arc::new(cause);
    questions.iter().map(|_| Err(cause.clone())).collect()
}

/// Tells the queue of its end, however it ends: one that is never told of would hold up all others.
struct Batch<'a> {
    client: &'a Arc<Client>,
    is_slow: bool,
}

impl Batch<'_> {
    fn slows(&mut self) {
        self.is_slow = true;
        self.client.queue().slowed();
        self.client.dispatch();
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        self.client.queue().returned(self.is_slow);
    }
}
