//! Questions that take a slow hash have permits of their own, so that they never hold what others
//! need. A prefix has one of them at a time, for which its secrets wait, a few of them; and a wrong
//! secret earns it a rest, since hashing takes the processors that others need.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{
    AcquireError, Mutex as Turns, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore, watch,
};
use tokio::time::{Instant, sleep_until};

use super::query::prefix_of;

/// Different secrets of a prefix, of which one at most is right: the one that is asked about, and
/// those that wait.
const SECRETS: usize = 4;

/// After a wrong secret its prefix rests for so many times what that took, which leaves it a fifth
/// of one processor.
const REST: u32 = 4;

/// What it took may have been waiting for others.
const LONGEST_REST: Duration = Duration::from_secs(1);

pub struct SlowHashes {
    permits: Arc<Semaphore>,
    size: usize,
    prefixes: Mutex<HashMap<String, Prefix>>,
}

struct Prefix {
    /// What becomes of each is told by the end of its channel.
    keys: HashMap<String, watch::Receiver<()>>,
    turns: Arc<Turns<()>>,
    rests_until: Instant,
}

pub enum Role {
    /// To ask, in its turn.
    First(Entry),
    /// Somebody asks about the same key. Once he has his answer, a right one needs no hash any
    /// more.
    Companion(End),
}

/// Too many secrets of its prefix wait already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany;

pub struct End(watch::Receiver<()>);

/// One that waits or is asked about, until it is dropped.
pub struct Entry {
    slow: Arc<SlowHashes>,
    prefix: String,
    key: String,
    turns: Arc<Turns<()>>,
    _end: watch::Sender<()>,
}

/// The right to ask now.
pub struct Permit {
    since: Instant,
    _turn: OwnedMutexGuard<()>,
    _permit: OwnedSemaphorePermit,
}

impl SlowHashes {
    pub fn new(size: usize) -> Arc<Self> {
        let permits = Arc::new(Semaphore::new(size));
        Arc::new(Self { permits, size, prefixes: Mutex::default() })
    }

    pub fn join(self: &Arc<Self>, key: &str) -> Result<Role, TooMany> {
        let prefix = prefix_of(key);
        let now = Instant::now();
        let mut prefixes = self.prefixes();
        prefixes.retain(|_, known| !known.keys.is_empty() || known.rests_until > now);
        let known = prefixes.entry(prefix.to_owned()).or_insert_with(|| Prefix {
            keys: HashMap::new(),
            turns: Arc::default(),
            rests_until: now,
        });
        if let Some(end) = known.keys.get(key) {
            return Ok(Role::Companion(End(end.clone())));
        }
        if known.keys.len() >= SECRETS {
            return Err(TooMany);
        }
        let (sender, receiver) = watch::channel(());
        known.keys.insert(key.to_owned(), receiver);
        Ok(Role::First(Entry {
            slow: self.clone(),
            prefix: prefix.to_owned(),
            key: key.to_owned(),
            turns: known.turns.clone(),
            _end: sender,
        }))
    }

    /// How many are taken, and how many keys wait for one.
    pub fn usage(&self) -> (usize, usize) {
        let keys: usize = self.prefixes().values().map(|prefix| prefix.keys.len()).sum();
        let in_use = self.size - self.permits.available_permits();
        (in_use, keys.saturating_sub(in_use))
    }

    fn prefixes(&self) -> MutexGuard<'_, HashMap<String, Prefix>> {
        self.prefixes.lock()
    }
}

impl End {
    pub async fn come(mut self) {
        // Nothing is sent: the end of the channel is an error.
        let _ = self.0.changed().await;
    }
}

impl Entry {
    /// Waits for the turn among its prefix's, the end of a rest, and a permit.
    pub async fn permit(&self) -> Result<Permit, AcquireError> {
        let turn = self.turns.clone().lock_owned().await;
        let rests_until = self.slow.prefixes().get(&self.prefix).map(|known| known.rests_until);
        sleep_until(rests_until.unwrap_or_else(Instant::now)).await;
        let permit = self.slow.permits.clone().acquire_owned().await?;
        Ok(Permit { since: Instant::now(), _turn: turn, _permit: permit })
    }

    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The secret was wrong, says the answer.
    pub fn was_wrong(&self, permit: &Permit) {
        let now = Instant::now();
        let rest = ((now - permit.since) * REST).min(LONGEST_REST);
        if let Some(known) = self.slow.prefixes().get_mut(&self.prefix) {
            known.rests_until = now + rest;
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if let Some(known) = self.slow.prefixes().get_mut(&self.prefix) {
            known.keys.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::Future;
    use std::pin::pin;
    use tokio::time::{sleep, timeout};

    fn first(slow: &Arc<SlowHashes>, key: &str) -> Entry {
        match slow.join(key) {
            Ok(Role::First(entry)) => entry,
            _ => panic!("{key} is not the first"),
        }
    }

    async fn is_ready(future: impl Future) -> bool {
        timeout(Duration::ZERO, pin!(future)).await.is_ok()
    }

    #[tokio::test]
    async fn a_prefix_has_one_permit_and_others_have_the_rest() {
        let slow = SlowHashes::new(2);
        let [one, two] = ["AAAAAAAA.1", "AAAAAAAA.2"].map(|key| first(&slow, key));
        let permit = one.permit().await.unwrap();
        assert!(!is_ready(two.permit()).await);
        assert_eq!(slow.usage(), (1, 1));
        let other = first(&slow, "BBBBBBBB.1");
        let others = other.permit().await.unwrap();
        let third = first(&slow, "CCCCCCCC.1");
        assert!(!is_ready(third.permit()).await, "both permits are taken");
        drop((others, permit));
        assert!(is_ready(two.permit()).await && is_ready(third.permit()).await);
    }

    #[tokio::test]
    async fn few_secrets_of_a_prefix_wait_and_any_number_with_the_same() {
        let slow = SlowHashes::new(1);
        let entries =
            ["1", "2", "3", "4"].map(|secret| first(&slow, &format!("AAAAAAAA.{secret}")));
        assert!(matches!(slow.join("AAAAAAAA.5"), Err(TooMany)));
        let Ok(Role::Companion(end)) = slow.join("AAAAAAAA.1") else { panic!() };
        let Ok(Role::Companion(second)) = slow.join("AAAAAAAA.1") else { panic!() };
        assert!(!is_ready(end.come()).await);
        drop(entries);
        assert!(is_ready(second.come()).await);
        assert!(matches!(slow.join("AAAAAAAA.5"), Ok(Role::First(_))));
        assert_eq!(slow.usage(), (0, 0));
    }

    #[tokio::test]
    async fn a_wrong_secret_earns_its_prefix_a_rest_and_no_other() {
        let slow = SlowHashes::new(1);
        let wrong = first(&slow, "AAAAAAAA.1");
        let permit = wrong.permit().await.unwrap();
        sleep(Duration::from_millis(1)).await;
        let taken = permit.since.elapsed();
        wrong.was_wrong(&permit);
        let end = slow.prefixes()["AAAAAAAA"].rests_until;
        assert!(end >= permit.since + 5 * taken);
        drop((permit, wrong));
        assert!(is_ready(first(&slow, "BBBBBBBB.1").permit()).await);
        // It is known until it is over, and a turn is had after that.
        let next = first(&slow, "AAAAAAAA.2");
        let permit = next.permit().await.unwrap();
        assert!(permit.since >= end);
    }

    #[tokio::test]
    async fn who_is_gone_is_forgotten() {
        let slow = SlowHashes::new(1);
        drop(first(&slow, "AAAAAAAA.1"));
        drop(first(&slow, "BBBBBBBB.1"));
        assert!(!slow.prefixes().contains_key("AAAAAAAA"));
    }
}
