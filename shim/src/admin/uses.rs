//! What this shim answered to whoever came with a key, by hour and by day, for the chart. The database knows how
//! often a key was used, and not when; so this counts along, in bounded memory, from the shim's start.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use apikey_format::is_prefix;

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;
/// Keys that are counted apart. Half a kilobyte each.
const KEYS: usize = 10_000;
/// Up to here, a key that was only ever refused is counted apart, too: strangers may invent prefixes.
const REFUSED_KEYS: usize = 5_000;

/// Accepted and refused.
pub type Pair = [u32; 2];

/// The latest of some equal spans of time, the last one being now.
#[derive(Clone)]
pub struct Series {
    span: u64,
    latest: u64,
    counts: Vec<Pair>,
}

impl Series {
    fn new(span: u64, length: usize) -> Self {
        Self { span, latest: 0, counts: vec![[0; 2]; length] }
    }

    fn advance(&mut self, seconds: u64) {
        let now = seconds / self.span;
        let passed = now.saturating_sub(self.latest).min(self.counts.len() as u64) as usize;
        self.counts.rotate_left(passed);
        let kept = self.counts.len() - passed;
        self.counts[kept..].fill([0; 2]);
        self.latest = self.latest.max(now);
    }

    fn count(&mut self, seconds: u64, accepted: bool) {
        self.advance(seconds);
        if let Some(pair) = self.counts.last_mut() {
            let count = &mut pair[usize::from(!accepted)];
            *count = count.saturating_add(1);
        }
    }

    /// Up to now.
    fn at(mut self, seconds: u64) -> Vec<Pair> {
        self.advance(seconds);
        self.counts
    }
}

#[derive(Clone)]
struct Counts {
    hours: Series,
    days: Series,
    was_accepted: bool,
    seen: u64,
}

impl Counts {
    fn new() -> Self {
        let (hours, days) = (Series::new(HOUR, 24), Series::new(DAY, 30));
        Self { hours, days, was_accepted: false, seen: 0 }
    }

    fn count(&mut self, seconds: u64, accepted: bool) {
        self.hours.count(seconds, accepted);
        self.days.count(seconds, accepted);
        self.was_accepted |= accepted;
        self.seen = seconds;
    }
}

/// 24 hours and 30 days.
pub struct Shown {
    pub hours: Vec<Pair>,
    pub days: Vec<Pair>,
}

pub struct Uses {
    all: Mutex<Counts>,
    keys: Mutex<HashMap<String, Counts>>,
}

impl Default for Uses {
    fn default() -> Self {
        Self { all: Mutex::new(Counts::new()), keys: Mutex::default() }
    }
}

impl Uses {
    /// By the whole key, of which the prefix alone is kept. Accepted means as in the view `apikeys`: valid, and from
    /// a right address.
    pub fn count(&self, key: &str, accepted: bool) {
        self.count_at(unix_time(), key, accepted);
    }

    fn count_at(&self, seconds: u64, key: &str, accepted: bool) {
        lock(&self.all).count(seconds, accepted);
        let Some((prefix, _)) = key.split_once('.').filter(|(prefix, _)| is_prefix(prefix)) else {
            return;
        };
        let mut keys = lock(&self.keys);
        if let Some(counts) = keys.get_mut(prefix) {
            return counts.count(seconds, accepted);
        }
        if !accepted && keys.len() >= REFUSED_KEYS {
            return;
        }
        if keys.len() >= KEYS {
            forget_some(&mut keys);
        }
        let mut counts = Counts::new();
        counts.count(seconds, accepted);
        keys.insert(prefix.to_owned(), counts);
    }

    pub fn of_all(&self) -> Shown {
        shown(lock(&self.all).clone(), unix_time())
    }

    pub fn of_key(&self, prefix: &str) -> Shown {
        let counts = lock(&self.keys).get(prefix).cloned();
        shown(counts.unwrap_or_else(Counts::new), unix_time())
    }
}

fn shown(counts: Counts, seconds: u64) -> Shown {
    Shown { hours: counts.hours.at(seconds), days: counts.days.at(seconds) }
}

/// Those that were never accepted, or else that nobody used for longest: a tenth at once, since to find them takes a
/// look at all.
fn forget_some(keys: &mut HashMap<String, Counts>) {
    let worth = |counts: &Counts| (counts.was_accepted, counts.seen);
    let mut all: Vec<_> =
        keys.iter().map(|(prefix, counts)| (worth(counts), prefix.clone())).collect();
    let some = all.len() / 10;
    if some < all.len() {
        all.select_nth_unstable(some);
    }
    for (_, prefix) in &all[..some] {
        keys.remove(prefix);
    }
}

fn unix_time() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: u64 = 20_000 * DAY + 12 * HOUR;

    #[test]
    fn uses_move_on_with_time() {
        let uses = Uses::default();
        uses.count_at(NOON, "Map0K71T.x", true);
        uses.count_at(NOON + 10, "Map0K71T.x", false);
        uses.count_at(NOON + 2 * HOUR, "Map0K71T.x", true);
        uses.count_at(NOON + 2 * HOUR, "nothing", false);
        let of_key = |seconds| shown(lock(&uses.keys)["Map0K71T"].clone(), seconds);
        let (hours, days) = (of_key(NOON + 2 * HOUR).hours, of_key(NOON + 2 * HOUR).days);
        assert_eq!((hours[21], hours[22], hours[23]), ([1, 1], [0, 0], [1, 0]));
        assert_eq!(days[29], [2, 1]);
        assert_eq!(of_key(NOON + DAY).hours[1], [1, 0]);
        assert_eq!(of_key(NOON + DAY).days[28], [2, 1]);
        assert!(of_key(NOON + 90 * DAY).days.iter().all(|pair| *pair == [0, 0]));
        assert_eq!(lock(&uses.all).clone().days.at(NOON)[29], [2, 2]);
        // A clock that is set back loses nothing.
        uses.count_at(NOON, "Map0K71T.x", true);
        assert_eq!(of_key(NOON).hours[23], [2, 0]);
    }

    #[test]
    fn memory_is_bounded_and_strangers_displace_nobody() {
        let uses = Uses::default();
        for n in 0..KEYS {
            uses.count_at(NOON, &format!("{n:08}.x"), false);
        }
        assert_eq!(lock(&uses.keys).len(), REFUSED_KEYS);
        for n in 0..KEYS + 100 {
            uses.count_at(NOON, &format!("A{n:07}.x"), true);
        }
        let keys = lock(&uses.keys);
        // The last time that a tenth was forgotten was a hundred keys ago.
        assert_eq!(keys.len(), KEYS - KEYS / 10 + 100);
        assert!(keys.values().all(|counts| counts.was_accepted));
    }
}
