//! A read-only copy of the server answers as the first does.

use apikey_tests::{Cluster, Database, one};
use postgres::Client;
use std::thread::sleep;
use std::time::Duration;

/// Until the standby has what the first has now.
fn catch_up(primary: &mut Client, standby: &mut Client) {
    let written = one(primary, "SELECT pg_current_wal_flush_lsn()").unwrap();
    let caught_up = format!("SELECT pg_last_wal_replay_lsn() >= '{written}'");
    for _ in 0..400 {
        if one(standby, &caught_up).as_deref() == Some("t") {
            return;
        }
        sleep(Duration::from_millis(50));
    }
    panic!("the standby does not follow");
}

#[test]
fn keys_are_checked_and_revocations_hold() {
    let database = Database::in_cluster(Cluster::private(&[]));
    let mut primary = database.superuser();
    // Of another cost than is set: on the first server, preloaded, a check would renew it.
    primary.batch_execute("SET apikey.argon2_memory = '2MB'").unwrap();
    let key = one(&mut primary, "SELECT apikey_create('till', 'event', '10.0.0.1')").unwrap();
    // And one with the hash that it had in Django.
    let moved_in = one(&mut primary, "SELECT apikey_create('from Django', 'event')").unwrap();
    primary
        .execute(
            "UPDATE apikey.key SET verifier = 'sha512$$' || encode(sha512(convert_to($1, 'UTF8')), 'hex')
              WHERE prefix = split_part($1, '.', 1)",
            &[&moved_in],
        )
        .unwrap();
    let cluster = database.cluster.standby();
    let mut standby = database.on_standby(&cluster);
    catch_up(&mut primary, &mut standby);

    assert_eq!(one(&mut standby, "SELECT pg_is_in_recovery()").as_deref(), Some("t"));
    let check = format!("SELECT apikey_check('{key}', '10.0.0.1')");
    let answer = r#"{"auth":"event","ip_request":"10.0.0.1","ip_valid":true}"#;
    assert_eq!(one(&mut standby, &check).as_deref(), Some(answer));
    assert!(one(&mut standby, &format!("SELECT apikey_check('{moved_in}', NULL)")).is_some());
    let authorize = format!("SELECT reason FROM apikey_authorize('{key}', '10.0.0.1', 'event')");
    assert_eq!(one(&mut standby, &authorize).as_deref(), Some("ok"));
    let login =
        format!("SELECT apikey_login('{key}', '10.0.0.1') AND (apikey_current()).name = 'till'");
    assert_eq!(one(&mut standby, &login).as_deref(), Some("t"));

    one(&mut primary, &format!("SELECT apikey_revoke('{key}')"));
    catch_up(&mut primary, &mut standby);
    assert_eq!(one(&mut standby, &check), None);
}
