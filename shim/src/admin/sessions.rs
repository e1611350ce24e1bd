//! Who has signed in: a table in memory, bounded in number and in time. A session is named by 256 random bits,
//! new at each sign-in, which only its cookie has.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::failure::Failure;
use super::session::Session;
use super::token;

#[derive(Clone, Copy, Debug)]
pub struct Lifetimes {
    /// Without a request.
    pub idle: Duration,
    /// Altogether.
    pub total: Duration,
}

struct Entry<S> {
    session: Arc<S>,
    began: Instant,
    seen: Instant,
}

/// Of `Session`, which tests replace.
pub struct Sessions<S = Session> {
    entries: Mutex<HashMap<String, Entry<S>>>,
    most: usize,
    lifetimes: Lifetimes,
}

impl<S> Sessions<S> {
    pub fn new(most: usize, lifetimes: Lifetimes) -> Self {
        Self { entries: Mutex::default(), most, lifetimes }
    }

    /// The name of a new session. Where there are too many, the one that nobody used for longest ends.
    pub fn begin(&self, session: S, now: Instant) -> Result<String, Failure> {
        let id = token::random()?;
        let mut entries = self.entries();
        entries.retain(|_, entry| self.lasts(entry, now));
        while entries.len() >= self.most {
            let Some((oldest, _)) = entries.iter().min_by_key(|(_, entry)| entry.seen) else {
                break;
            };
            let oldest = oldest.clone();
            entries.remove(&oldest);
        }
        entries.insert(id.clone(), Entry { session: Arc::new(session), began: now, seen: now });
        Ok(id)
    }

    pub fn find(&self, id: &str, now: Instant) -> Option<Arc<S>> {
        let mut entries = self.entries();
        let entry = entries.get_mut(id)?;
        if !self.lasts(entry, now) {
            entries.remove(id);
            return None;
        }
        entry.seen = now;
        Some(entry.session.clone())
    }

    pub fn end(&self, id: &str) {
        self.entries().remove(id);
    }

    /// Ends those that are over, and gives the others.
    pub fn sweep(&self, now: Instant) -> Vec<Arc<S>> {
        let mut entries = self.entries();
        entries.retain(|_, entry| self.lasts(entry, now));
        entries.values().map(|entry| entry.session.clone()).collect()
    }

    fn lasts(&self, entry: &Entry<S>, now: Instant) -> bool {
        now.saturating_duration_since(entry.seen) < self.lifetimes.idle
            && now.saturating_duration_since(entry.began) < self.lifetimes.total
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<String, Entry<S>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn sessions(most: usize) -> Sessions<&'static str> {
        Sessions::new(most, Lifetimes { idle: 10 * MINUTE, total: 60 * MINUTE })
    }

    #[test]
    fn a_session_ends_when_nobody_uses_it_and_in_any_case() {
        let (sessions, now) = (sessions(9), Instant::now());
        let id = sessions.begin("ada", now).ok().unwrap();
        for minute in (5..60).step_by(5) {
            assert!(sessions.find(&id, now + minute * MINUTE).is_some(), "{minute}");
        }
        assert!(sessions.find(&id, now + 60 * MINUTE).is_none());
        let id = sessions.begin("ada", now).ok().unwrap();
        assert!(sessions.find(&id, now + 10 * MINUTE).is_none());
        assert!(sessions.find(&id, now).is_none(), "it is gone, not hidden");
    }

    #[test]
    fn who_signs_out_is_out() {
        let (sessions, now) = (sessions(9), Instant::now());
        let id = sessions.begin("ada", now).ok().unwrap();
        sessions.end(&id);
        assert!(sessions.find(&id, now).is_none());
        assert!(sessions.find("", now).is_none());
    }

    #[test]
    fn there_are_no_more_than_allowed() {
        let (sessions, now) = (sessions(2), Instant::now());
        let first = sessions.begin("ada", now).ok().unwrap();
        let second = sessions.begin("bob", now).ok().unwrap();
        assert_ne!(first, second);
        sessions.find(&first, now + MINUTE);
        let third = sessions.begin("eve", now + MINUTE).ok().unwrap();
        let there = [&first, &second, &third].map(|id| sessions.find(id, now + MINUTE).is_some());
        assert_eq!(there, [true, false, true]);
        assert_eq!(sessions.sweep(now + 11 * MINUTE).len(), 0);
    }
}
