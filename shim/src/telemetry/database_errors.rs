//! Warnings that an outage cannot turn into a flood: of each kind of failure the first is written
//! at once, and what follows is counted, in one line a second.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use apikey_postgres::log_target;
use parking_lot::{Mutex, MutexGuard};
use tokio::time::sleep;
use tracing::warn;

use crate::keys::error::{Kind, Unavailable};

const PAUSE: Duration = Duration::from_secs(1);

#[derive(Default)]
pub struct DatabaseErrors(Mutex<HashMap<Kind, Unwritten>>);

/// How many there were since the last line, and the last of them.
struct Unwritten(u64, Arc<Unavailable>);

impl DatabaseErrors {
    pub fn add(self: &Arc<Self>, cause: Arc<Unavailable>) {
        let kind = cause.kind();
        match self.kinds().entry(kind) {
            Entry::Occupied(mut unwritten) => {
                let count = unwritten.get().0 + 1;
                unwritten.insert(Unwritten(count, cause));
                return;
            }
            Entry::Vacant(kind) => kind.insert(Unwritten(0, cause.clone())),
        };
        warn!(
            target: log_target::DATABASE,
            kind = kind.name(),
            %cause,
            "the database gave no answer"
        );
        tokio::spawn(self.clone().sum_up(kind));
    }

    /// Ends with the first second without an error.
    async fn sum_up(self: Arc<Self>, kind: Kind) {
        loop {
            sleep(PAUSE).await;
            let Some((requests, cause)) = self.take(kind) else {
                return;
            };
            warn!(
                target: log_target::DATABASE,
                kind = kind.name(),
                %cause,
                requests,
                "the database gave no answer, again"
            );
        }
    }

    fn take(&self, kind: Kind) -> Option<(u64, Arc<Unavailable>)> {
        let mut kinds = self.kinds();
        let Unwritten(count, last) = kinds.get_mut(&kind)?;
        match mem::take(count) {
            0 => {
                kinds.remove(&kind);
                None
            }
            count => Some((count, last.clone())),
        }
    }

    fn kinds(&self) -> MutexGuard<'_, HashMap<Kind, Unwritten>> {
        self.0.lock()
    }
}
