//! Who must not wait behind slow hashes asks what can be said without one.

use apikey_tests::{Cluster, Database, one, stat, wrong_secret};
use postgres::Client;

const NEEDS_HASH: &str = r#"{"needs_hash":true}"#;

fn alone() -> Database {
    Database::in_cluster(Cluster::preloaded(&[]))
}

fn at_once(client: &mut Client, key: &str) -> Option<String> {
    one(client, &format!("SELECT apikey.check_key_at_once('{key}', '10.0.0.1', '')"))
}

fn reason_at_once(client: &mut Client, key: &str, scope: &str) -> String {
    let question = format!("apikey.authorize_key_at_once('{key}', '10.0.0.1', '{scope}', '')");
    one(client, &format!("SELECT reason FROM {question}")).unwrap()
}

fn check(client: &mut Client, key: &str) -> Option<String> {
    one(client, &format!("SELECT apikey.check_key('{key}', '10.0.0.1', '')"))
}

fn take_tag_away(client: &mut Client, key: &str) {
    let untag = "UPDATE apikey.key SET tag = NULL WHERE prefix = $1";
    assert_eq!(client.execute(untag, &[&&key[..8]]).unwrap(), 1);
}

#[test]
fn what_needs_no_hash_is_answered_and_what_does_is_said() {
    let database = alone();
    let mut client = database.superuser();
    let [generated, chosen] = [(); 2].map(|()| database.key("'event', '10.0.0.0/8'"));
    take_tag_away(&mut client, &chosen);
    let hashes = stat(&mut client, "hashes");
    let (wrong, wrong_too) = (wrong_secret(&generated), wrong_secret(&chosen));
    for _ in 0..2 {
        for nobodys in ["", "no key", &wrong, "Nobody00.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"] {
            assert_eq!(at_once(&mut client, nobodys), None);
            assert_eq!(reason_at_once(&mut client, nobodys, "event"), "invalid_key");
        }
        for unknown in [&generated, &chosen, &wrong_too] {
            assert_eq!(at_once(&mut client, unknown).as_deref(), Some(NEEDS_HASH));
            assert_eq!(reason_at_once(&mut client, unknown, "event"), "needs_hash");
        }
    }
    assert_eq!(stat(&mut client, "hashes"), hashes);
    for key in [&generated, &chosen] {
        let answer = check(&mut client, key);
        assert!(answer.is_some());
        assert_eq!(at_once(&mut client, key), answer);
        assert_eq!(reason_at_once(&mut client, key, "event"), "ok");
        assert_eq!(reason_at_once(&mut client, key, "ticket"), "missing_scope");
    }
    assert_eq!(at_once(&mut client, &wrong_too).as_deref(), Some(NEEDS_HASH));

    one(&mut client, &format!("SELECT apikey_revoke('{chosen}')"));
    for key in [&chosen, &wrong_too] {
        assert_eq!(at_once(&mut client, key), None);
        assert_eq!(reason_at_once(&mut client, key, "event"), "invalid_key");
    }
    assert_eq!(stat(&mut client, "hashes"), hashes + 2);
}

/// Whoever is told so asks again, and is counted then.
#[test]
fn what_needs_a_hash_is_not_counted() {
    let database = alone();
    let mut client = database.superuser();
    let key = database.key("'event'");
    let counters = "SELECT string_agg(value::text, ' ' ORDER BY name) FROM apikey_stats";
    let before = one(&mut client, counters);
    assert_eq!(at_once(&mut client, &key).as_deref(), Some(NEEDS_HASH));
    assert_eq!(one(&mut client, counters), before);
    assert!(check(&mut client, &key).is_some());
    assert!(at_once(&mut client, &key).is_some());
    let used = "SELECT accepted || ' ' || refused FROM apikeys";
    assert_eq!(one(&mut client, used).as_deref(), Some("2 0"));
}
