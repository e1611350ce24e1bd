//! Somebody knows the prefix of a key that has no tag, and sends wrong secrets for it, each worth a
//! slow hash: 200 a second.

use crate::scene::{Scene, assert_right, p99};
use apikey_tests::Shim;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::thread::{Scope, sleep};
use std::time::{Duration, Instant};

const ATTACKERS: u32 = 50;
const PAUSE: Duration = Duration::from_millis(250);
const WHILE: Duration = Duration::from_secs(5);

/// As Django 4.2 left it: 0.2 s for each wrong secret.
const INSERT: &str = "INSERT INTO apikey.key (prefix, verifier, name, auth)
    VALUES ('Attacked', 'pbkdf2_sha256$600000$salt$' || repeat('A', 43) || '=', 'attacked', '\"event\"')";

#[derive(Default)]
struct Attack {
    is_over: AtomicBool,
    refused: AtomicU32,
    turned_away: AtomicU32,
}

/// Also when an assertion fails.
struct UntilDropped<'a>(&'a AtomicBool);

impl Drop for UntilDropped<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

impl Attack {
    fn until_dropped(&self) -> UntilDropped<'_> {
        UntilDropped(&self.is_over)
    }

    fn begin<'s>(&'s self, scope: &'s Scope<'s, '_>, shim: &'s Shim) {
        for attacker in 0..ATTACKERS {
            scope.spawn(move || {
                let mut due = Instant::now() + PAUSE * attacker / ATTACKERS;
                for number in (attacker..).step_by(ATTACKERS as usize) {
                    sleep(due.saturating_duration_since(Instant::now()));
                    due += PAUSE;
                    if self.is_over.load(Relaxed) {
                        return;
                    }
                    match shim.ask(&format!("Attacked.{number:032}")).status() {
                        401 => &self.refused,
                        503 => &self.turned_away,
                        status => panic!("{status}"),
                    }
                    .fetch_add(1, Relaxed);
                }
            });
        }
    }
}

#[test]
fn wrong_secrets_of_one_key_keep_no_other_waiting() {
    let scene = Scene::new(&[], &[]);
    let mut client = scene.database.superuser();
    client.batch_execute(INSERT).unwrap();
    let new: Vec<_> = (0..20).map(|_| scene.database.key("'event'")).collect();
    let load = scene.load();
    let alone = Instant::now();
    sleep(WHILE);
    let attack = Attack::default();
    let (begin, end) = std::thread::scope(|scope| {
        let _over = attack.until_dropped();
        attack.begin(scope, &scene.shim);
        let begin = Instant::now();
        // Keys that nobody has asked about yet are worth a slow hash, too.
        for key in &new {
            assert_eq!(scene.shim.ask(key).status(), 200, "{}", scene.shim.log());
            sleep(WHILE / 20);
        }
        (begin, Instant::now())
    });
    let seen = load.stop();
    assert_right(&seen);
    assert!(seen.iter().all(|seen| seen.status != Some(503)), "somebody was turned away");
    let [refused, turned_away] = [&attack.refused, &attack.turned_away].map(|of| of.load(Relaxed));
    assert!(refused > 0 && turned_away > 0, "{refused} refused, {turned_away} turned away");
    let rate = f64::from(refused + turned_away) / (end - begin).as_secs_f64();
    let (before, with) = (p99(&seen, alone..begin), p99(&seen, begin..end));
    println!("{rate:.0} wrong secrets a second: p99 of others {with:?}, without them {before:?}");
}
