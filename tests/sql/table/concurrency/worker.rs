//! One of many connections that do what they like to the same few keys, and watch what the others
//! see of it.

use postgres::Client;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard};

/// What all connections know about a key for certain: what may have happened is counted before the
/// statement begins, what has happened after it has returned.
pub struct Known {
    pub key: String,
    /// Something that may make the key invalid has begun.
    touched: AtomicU32,
    /// A revocation, a rotation without grace or a deletion has returned.
    pub ended: AtomicU32,
    pub revoked: AtomicU32,
    pub rotated: AtomicU32,
}

#[derive(Default)]
pub struct Keys {
    all: Mutex<Vec<Arc<Known>>>,
    pub accepted: AtomicU32,
    pub refused: AtomicU32,
}

impl Keys {
    pub fn all(&self) -> MutexGuard<'_, Vec<Arc<Known>>> {
        self.all.lock().unwrap()
    }

    pub fn add(&self, key: String) {
        let [touched, ended, revoked, rotated] = Default::default();
        self.all().push(Arc::new(Known { key, touched, ended, revoked, rotated }));
    }
}

/// One connection and its own sequence of random numbers.
pub struct Worker<'a> {
    pub client: Client,
    pub keys: &'a Keys,
    pub random: u64,
}

impl Worker<'_> {
    /// Xorshift: the choices of a connection are the same in each run, their order among
    /// connections is not.
    fn below(&mut self, bound: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        usize::try_from(self.random >> 33).unwrap() % bound
    }

    /// A key, rather one of the latest: those are still alive, and others are busy with them.
    fn some_key(&mut self) -> Arc<Known> {
        let count = self.keys.all().len();
        let back = self.below(count.min(4));
        self.keys.all()[count - 1 - back].clone()
    }

    /// The value that the statement gives, or none when it was refused for a reason that it may
    /// have.
    fn ask(&mut self, statement: &str, key: &str, refusals: &[&str]) -> Option<String> {
        match self.client.query_one(statement, &[&key]) {
            Ok(row) => row.get(0),
            Err(error) => {
                let code = error.code().map_or("none", |code| code.code());
                assert!(refusals.contains(&code), "{statement}: {error:?}");
                None
            }
        }
    }

    pub fn step(&mut self) {
        const GONE: &[&str] = &["42704"];
        match self.below(20) {
            // Names clash with those of keys that were created, rotated or revoked meanwhile.
            0 | 1 => {
                let name = format!("key {}", self.below(40));
                let create = "SELECT apikey_create($1, 'event')";
                if let Some(key) = self.ask(create, &name, &["23505"]) {
                    self.keys.add(key);
                }
            }
            2 | 3 => {
                let known = self.some_key();
                let now = self.below(2) == 0;
                known.touched.fetch_add(u32::from(now), SeqCst);
                let grace = if now { "0" } else { "1 hour" };
                let rotate = format!("SELECT apikey_rotate($1, '{grace}')");
                if let Some(successor) = self.ask(&rotate, &known.key, &["55000", "42704"]) {
                    known.rotated.fetch_add(1, SeqCst);
                    known.revoked.fetch_add(u32::from(now), SeqCst);
                    known.ended.fetch_add(u32::from(now), SeqCst);
                    self.keys.add(successor);
                }
            }
            4 => {
                let known = self.some_key();
                known.touched.fetch_add(1, SeqCst);
                let answer = self.ask("SELECT apikey_revoke($1)::text", &known.key, GONE);
                known.revoked.fetch_add(u32::from(answer.as_deref() == Some("true")), SeqCst);
                known.ended.fetch_add(1, SeqCst);
            }
            5 => {
                let known = self.some_key();
                known.touched.fetch_add(1, SeqCst);
                self.ask("SELECT apikey_disable($1)::text", &known.key, GONE);
            }
            6 | 7 => {
                let known = self.some_key();
                let refusals = &["42704", "55000"]; // gone, revoked
                self.ask("SELECT apikey_enable($1)::text", &known.key, refusals);
            }
            8 if self.below(3) == 0 => {
                let known = self.some_key();
                known.touched.fetch_add(1, SeqCst);
                let delete = "DELETE FROM apikey.key WHERE prefix = $1";
                self.client.execute(delete, &[&&known.key[..8]]).unwrap();
                known.ended.fetch_add(1, SeqCst);
            }
            9..=12 => {
                self.check(
                    "SELECT CASE WHEN (apikey_authorize($1, NULL, 'event')).allowed THEN 'yes' END",
                );
            }
            _ => self.check("SELECT apikey_check($1, NULL)::text"),
        }
    }

    fn check(&mut self, statement: &str) {
        let known = self.some_key();
        let ended_before = known.ended.load(SeqCst);
        let accepted = self.ask(statement, &known.key, &[]).is_some();
        let touched_after = known.touched.load(SeqCst);
        if accepted {
            assert_eq!(ended_before, 0, "{} was accepted after its end", known.key);
            self.keys.accepted.fetch_add(1, SeqCst);
        } else {
            assert_ne!(touched_after, 0, "{} was refused, and nobody had touched it", known.key);
            self.keys.refused.fetch_add(1, SeqCst);
        }
    }
}
