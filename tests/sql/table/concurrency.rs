//! Many connections at once: no revocation is lost, nobody deadlocks, and the trail tells what
//! happened.

mod worker;

use apikey_tests::{Database, eventually, one};
use std::sync::atomic::Ordering::SeqCst;
use worker::{Keys, Worker};

const CONNECTIONS: u32 = 12;
const STATEMENTS: u32 = 200;

/// Half of the connections want hashes of another cost than the other half: a hash that one half
/// had renewed is due for the other, and they are stored in competition with everything else.
fn hammer(database: &Database, keys: &Keys) {
    std::thread::scope(|scope| {
        for number in 1..=CONNECTIONS {
            scope.spawn(move || {
                let mut client = database.superuser();
                let cost = format!("SET apikey.argon2_iterations = {}", number % 2 + 1);
                client.batch_execute(&cost).unwrap();
                let random = u64::from(number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
                let mut worker = Worker { client, keys, random };
                for _ in 0..STATEMENTS {
                    worker.step();
                }
            });
        }
    });
}

#[test]
fn no_end_of_a_key_is_lost_and_nobody_deadlocks() {
    let database = Database::new();
    let keys = Keys::default();
    keys.add(database.key("'event'"));
    let mut client = database.superuser();
    let renewals = "SELECT count(*) > 5 FROM apikey.event WHERE changed -> 'verifier' ? 'to'";
    eventually("hashes were renewed meanwhile", || {
        hammer(&database, &keys);
        one(&mut client, renewals).as_deref() == Some("t")
    });

    let (mut ended, mut rotated) = (0, 0);
    for known in keys.all().iter() {
        let [end, revoked, won] =
            [&known.ended, &known.revoked, &known.rotated].map(|of| of.load(SeqCst));
        assert!(revoked <= 1 && won <= 1, "{}: revoked {revoked}, rotated {won} times", known.key);
        if end > 0 {
            let check = format!("SELECT apikey_check('{}', NULL)", known.key);
            assert_eq!(one(&mut client, &check), None, "{} was ended", known.key);
            ended += 1;
        }
        rotated += won;
    }
    assert_eq!(
        one(&mut client, include_str!("concurrency/contradictions.sql")).as_deref(),
        Some("none")
    );
    // It was a competition: there were some of each.
    let counts = [ended, rotated, keys.accepted.load(SeqCst), keys.refused.load(SeqCst)];
    assert!(counts.iter().all(|count| *count > 20), "{counts:?}");
}
