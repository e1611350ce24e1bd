//! Many connections at once: no revocation is lost, nobody deadlocks, and the trail tells what happened.

mod worker;

use apikey_tests::{Database, one};
use std::sync::atomic::Ordering::SeqCst;
use worker::{Keys, Worker};

const CONNECTIONS: u32 = 12;
const STATEMENTS: u32 = 200;

/// Half of the connections want hashes of another cost than the other half: each good check renews what the
/// other half renewed, in competition with everything else.
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
    hammer(&database, &keys);

    let mut client = database.superuser();
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
    // It was a competition: there were some of each, and hashes were renewed.
    let renewals = "SELECT count(*) > 50 FROM apikey.event WHERE changed -> 'verifier' ? 'to'";
    assert_eq!(one(&mut client, renewals).as_deref(), Some("t"));
    let counts = [ended, rotated, keys.accepted.load(SeqCst), keys.refused.load(SeqCst)];
    assert!(counts.iter().all(|count| *count > 20), "{counts:?}");
}

/// A check that renews the hash is in a transaction that is still open when the key is revoked.
#[test]
fn a_revocation_waits_for_a_renewal_and_is_not_lost() {
    let database = Database::new();
    let (mut checking, mut watching) = (database.superuser(), database.superuser());
    let key = database.key("'event'");
    let stored = "SELECT verifier FROM apikey.key";
    let before = one(&mut watching, stored);
    let check = format!("SELECT apikey_check('{key}', NULL)");
    checking.batch_execute("SET apikey.argon2_iterations = 2; BEGIN").unwrap();
    assert!(one(&mut checking, &check).is_some());

    let revoke = format!("SELECT apikey_revoke('{key}')");
    std::thread::scope(|scope| {
        let revoking = scope.spawn(|| one(&mut database.superuser(), &revoke));
        database.wait_for_blocked(1);
        checking.batch_execute("COMMIT").unwrap();
        assert_eq!(revoking.join().unwrap().as_deref(), Some("t"));
    });
    assert_ne!(one(&mut watching, stored), before, "nothing was renewed");
    for client in [&mut checking, &mut watching] {
        assert_eq!(one(client, &check), None);
    }
}
