//! Who has signed in: a table in memory, bounded in number and in time. A session's name is 256
//! random bits, new at each sign-in, which only its cookie has.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::error::Error;
use crate::token;

#[derive(Clone, Copy, Debug)]
pub struct Lifetimes {
    /// The longest time without a request.
    pub idle: Duration,
    /// The longest time altogether.
    pub total: Duration,
}

struct Entry<S> {
    role: String,
    session: Arc<S>,
    began: Instant,
    seen: Instant,
}

/// The sessions. Tests have a word for each of them.
pub struct Sessions<S> {
    entries: Mutex<HashMap<String, Entry<S>>>,
    most: usize,
    lifetimes: Lifetimes,
}

impl<S> Sessions<S> {
    pub fn new(most: usize, lifetimes: Lifetimes) -> Self {
        Self { entries: Mutex::default(), most, lifetimes }
    }

    /// The name of a new session. Where there are too many, one ends for it.
    pub fn begin(&self, role: &str, session: S, now: Instant) -> Result<String, Error> {
        let id = token::random()?;
        let mut entries = self.entries.lock();
        entries.retain(|_, entry| self.lasts(entry, now));
        while entries.len() >= self.most {
            let Some(last) = next_to_go(&entries, role) else { break };
            entries.remove(&last);
        }
        let (role, session) = (role.to_owned(), Arc::new(session));
        entries.insert(id.clone(), Entry { role, session, began: now, seen: now });
        Ok(id)
    }

    pub fn find(&self, id: &str, now: Instant) -> Option<Arc<S>> {
        let mut entries = self.entries.lock();
        let entry = entries.get_mut(id)?;
        if !self.lasts(entry, now) {
            entries.remove(id);
            return None;
        }
        entry.seen = now;
        Some(entry.session.clone())
    }

    pub fn end(&self, id: &str) {
        self.entries.lock().remove(id);
    }

    /// Ends those that are over, and gives the others.
    pub fn sweep(&self, now: Instant) -> Vec<Arc<S>> {
        let mut entries = self.entries.lock();
        entries.retain(|_, entry| self.lasts(entry, now));
        entries.values().map(|entry| entry.session.clone()).collect()
    }

    fn lasts(&self, entry: &Entry<S>, now: Instant) -> bool {
        now.saturating_duration_since(entry.seen) < self.lifetimes.idle
            && now.saturating_duration_since(entry.began) < self.lifetimes.total
    }
}

/// The session that makes room: that of the role with the most sessions (with the one that is about
/// to begin) which was unused for longest. Whoever signs in again and again ends sessions of their
/// own. The newcomer's role comes first among several such roles.
fn next_to_go<S>(entries: &HashMap<String, Entry<S>>, newcomer: &str) -> Option<String> {
    let mut of_role = HashMap::from([(newcomer, 1)]);
    for entry in entries.values() {
        *of_role.entry(entry.role.as_str()).or_insert(0) += 1;
    }
    let urge = |entry: &Entry<S>| {
        let role = entry.role.as_str();
        (of_role.get(role).copied(), role == newcomer, Reverse(entry.seen))
    };
    let last = entries.iter().max_by_key(|(_, entry)| urge(entry));
    last.map(|(id, _)| id.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn sessions(most: usize) -> Sessions<&'static str> {
        Sessions::new(most, Lifetimes { idle: 10 * MINUTE, total: 60 * MINUTE })
    }

    #[test]
    fn a_session_ends_when_nobody_uses_it_and_in_any_case() {
        let (sessions, now) = (sessions(9), Instant::now());
        let id = sessions.begin("ada", "ada", now).ok().unwrap();
        for minute in (5..60).step_by(5) {
            assert!(sessions.find(&id, now + minute * MINUTE).is_some(), "{minute}");
        }
        assert!(sessions.find(&id, now + 60 * MINUTE).is_none());
        let id = sessions.begin("ada", "ada", now).ok().unwrap();
        assert!(sessions.find(&id, now + 10 * MINUTE).is_none());
        assert!(sessions.find(&id, now).is_none(), "it is gone, not hidden");
    }

    #[test]
    fn who_signs_out_is_out() {
        let (sessions, now) = (sessions(9), Instant::now());
        let id = sessions.begin("ada", "ada", now).ok().unwrap();
        sessions.end(&id);
        assert!(sessions.find(&id, now).is_none());
        assert!(sessions.find("", now).is_none());
    }

    #[test]
    fn there_are_no_more_than_allowed() {
        let (sessions, now) = (sessions(2), Instant::now());
        let first = sessions.begin("ada", "1", now).ok().unwrap();
        let second = sessions.begin("bob", "2", now).ok().unwrap();
        assert_ne!(first, second);
        sessions.find(&first, now + MINUTE);
        let third = sessions.begin("eve", "3", now + MINUTE).ok().unwrap();
        let there = [&first, &second, &third].map(|id| sessions.find(id, now + MINUTE).is_some());
        assert_eq!(
            there,
            [true, false, true],
            "of roles with one each, the one unused for longest"
        );
        assert_eq!(sessions.sweep(now + 11 * MINUTE).len(), 0);
    }

    #[test]
    fn whoever_has_many_ends_his_own() {
        let (sessions, now) = (sessions(5), Instant::now());
        let begin = |role: &str, second| {
            sessions.begin(role, "", now + Duration::from_secs(second)).ok().unwrap()
        };
        let there = |id: &String| sessions.entries.lock().contains_key(id);
        let of = |ids: &[String]| ids.iter().filter(|id| there(id)).count();
        let ada = [begin("ada", 0), begin("ada", 1)];
        let eve: Vec<_> = (2..40).map(|second| begin("eve", second)).collect();
        assert_eq!((of(&ada), of(&eve)), (2, 3), "though hers were unused for longer");
        let bob = begin("bob", 50);
        assert_eq!((of(&ada), of(&eve)), (2, 2), "the fullest makes room");
        assert!(
            there(&begin("bob", 51)) && !there(&bob),
            "no more than others, so it is bob's own"
        );
        assert!(there(&begin("ada", 52)) && !there(&ada[0]));
        assert_eq!(of(&eve), 2);
    }
}
