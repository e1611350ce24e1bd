//! What is remembered is that a key matches its hash: for all connections, and for a generated key
//! beyond a restart. What is never remembered is that a key is valid.

use apikey_tests::{
    Cluster, Database, eventually, is_valid, one, program, run, stat, wrong_secret,
};
use postgres::Client;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

/// In a cluster of the test's own: nobody else moves its counters.
fn alone(settings: &[&str]) -> Database {
    Database::in_cluster(Cluster::preloaded(settings))
}

/// How many slow hashes something takes.
fn hashes(database: &Database, what: impl FnOnce()) -> u64 {
    let mut client = database.superuser();
    let before = stat(&mut client, "hashes");
    what();
    stat(&mut client, "hashes") - before
}

/// A key that a person chose, and a DBA inserted: there is nothing of it but its slow hash.
fn chosen_key(database: &Database) -> String {
    let key = format!("Chosen00.{}", "secret".repeat(6).split_at(32).0);
    database
        .superuser()
        .execute(
            "INSERT INTO apikey.key (prefix, verifier, name, auth)
             VALUES (split_part($1, '.', 1), apikey.make_verifier($1), 'chosen', '\"event\"')",
            &[&key],
        )
        .unwrap();
    key
}

#[test]
fn a_key_is_hashed_once_for_all_connections_and_under_another_verifier_anew() {
    let database = alone(&[]);
    let mut client = database.superuser();
    let (key, other) = (database.key("'event'"), database.key("'event'"));
    let hits = stat(&mut client, "proof_hits");
    let taken = hashes(&database, || {
        for _ in 0..3 {
            let mut connection = database.superuser();
            assert!((0..3).all(|_| is_valid(&mut connection, &key)));
        }
    });
    assert_eq!((taken, stat(&mut client, "proof_hits") - hits), (1, 8));

    // The proof of the old verifier stays where it is, and says nothing about the new one.
    let stored = "SELECT verifier, tag FROM apikey.key WHERE prefix = $1";
    let stored = |client: &mut Client, key: &str| -> (String, Option<i32>) {
        let row = client.query_one(stored, &[&&key[..8]]).unwrap();
        (row.get(0), row.get(1))
    };
    let own = stored(&mut client, &key);
    let others = stored(&mut client, &other);
    let set = "UPDATE apikey.key SET verifier = $2, tag = $3 WHERE prefix = $1";
    let taken = hashes(&database, || {
        let mut checking = database.superuser();
        client.execute(set, &[&&key[..8], &others.0, &others.1]).unwrap();
        assert!(!is_valid(&mut checking, &key));
        client.execute(set, &[&&key[..8], &own.0, &own.1]).unwrap();
        assert!(is_valid(&mut checking, &key));
    });
    assert_eq!(taken, 0);

    // Of the verifier alone the tag does not stay: only the slow hash can tell.
    let set = "UPDATE apikey.key SET verifier = $2 WHERE prefix = $1";
    client.execute(set, &[&&key[..8], &others.0]).unwrap();
    assert_eq!(hashes(&database, || assert!(!is_valid(&mut client, &key))), 1);
    client.execute(set, &[&&key[..8], &own.0]).unwrap();
    assert_eq!(hashes(&database, || assert!(is_valid(&mut client, &key))), 1);
    assert_eq!(hashes(&database, || assert!(is_valid(&mut client, &key))), 0);
}

#[test]
fn a_wrong_secret_is_hashed_only_where_there_is_no_tag_and_nothing_of_it_is_remembered() {
    let database = alone(&[]);
    let mut client = database.superuser();
    let (generated, chosen) = (database.key("'event'"), chosen_key(&database));
    for (key, each, right) in
        [(&generated, 0, 1), (&chosen, 1, 1), (&generated, 0, 0), (&chosen, 1, 0)]
    {
        for _ in 0..3 {
            let taken =
                hashes(&database, || assert!(!is_valid(&mut client, &wrong_secret(key)), "{key}"));
            assert_eq!(taken, each, "a wrong secret of {key}");
        }
        assert_eq!(hashes(&database, || assert!(is_valid(&mut client, key))), right, "{key}");
    }
    // The key that is not valid is told by its row, whatever was remembered of it.
    client.batch_execute("UPDATE apikey.key SET disabled_at = now()").unwrap();
    for key in [&generated, &chosen] {
        assert_eq!(hashes(&database, || assert!(!is_valid(&mut client, key))), 0, "{key}");
    }
    let counters = ["wrong_secret", "disabled", "accepted", "preloaded"];
    assert_eq!(counters.map(|name| stat(&mut client, name)), [12, 2, 4, 1]);
}

/// Whatever its secret, and whatever was remembered: the row says that it is not valid.
#[test]
fn a_key_that_has_ended_or_is_of_another_tenant_buys_no_hash() {
    let database = alone(&[]);
    let mut client = database.superuser();
    let chosen = chosen_key(&database);
    for (counter, end) in [
        ("disabled", "disabled_at = now()"),
        ("expired", "disabled_at = NULL, expires_at = created_at"),
        ("wrong_tenant", "expires_at = NULL, tenant = 'venue'"),
        ("revoked", "tenant = '', revoked_at = now()"),
    ] {
        client.batch_execute(&format!("UPDATE apikey.key SET {end}")).unwrap();
        let before = stat(&mut client, counter);
        let taken = hashes(&database, || {
            assert!(
                !is_valid(&mut client, &wrong_secret(&chosen)) && !is_valid(&mut client, &chosen)
            );
        });
        assert_eq!((taken, stat(&mut client, counter) - before), (0, 2), "{end}");
    }
    assert_eq!(stat(&mut client, "wrong_secret"), 0);
    // Each is a use that was refused, as ever.
    assert_eq!(one(&mut client, "SELECT refused FROM apikeys").as_deref(), Some("8"));
}

/// What to do about a key from elsewhere that somebody sends wrong secrets for.
#[test]
fn after_a_rotation_the_old_key_buys_no_hash_and_the_new_one_has_a_tag() {
    let database = alone(&[]);
    let mut client = database.superuser();
    let chosen = chosen_key(&database);
    let wrong = wrong_secret(&chosen);
    assert_eq!(hashes(&database, || assert!(!is_valid(&mut client, &wrong))), 1);
    let fresh = one(&mut client, &format!("SELECT apikey_rotate('{}')", &chosen[..8])).unwrap();
    let taken = hashes(&database, || {
        assert!(!is_valid(&mut client, &wrong) && !is_valid(&mut client, &wrong_secret(&fresh)));
    });
    assert_eq!(taken, 0);
    assert!(is_valid(&mut client, &fresh));
}

/// Often enough that Postgres has made the plan for good.
#[test]
fn a_prepared_check_answers_from_the_row_each_time() {
    let database = Database::new();
    let (mut own, mut other) = (database.superuser(), database.superuser());
    let key = database.key("'event', '10.0.0.0/8'");
    let prepare = |client: &mut Client| {
        client.prepare("SELECT (apikey_check($1, '10.0.0.1') ->> 'ip_valid')::boolean").unwrap()
    };
    let prepared = (prepare(&mut own), prepare(&mut other));
    let mut answers = |own: &mut Client| -> [Option<bool>; 2] {
        let mut both = [None; 2];
        for _ in 0..7 {
            both = [
                own.query_one(&prepared.0, &[&key]).unwrap().get(0),
                other.query_one(&prepared.1, &[&key]).unwrap().get(0),
            ];
        }
        both
    };
    let valid = [Some(true); 2];
    assert_eq!(answers(&mut own), valid);
    own.batch_execute("UPDATE apikey.key SET allowed_ips = '{10.9.9.9}'").unwrap();
    assert_eq!(answers(&mut own), [Some(false); 2]);
    own.batch_execute("UPDATE apikey.key SET allowed_ips = NULL").unwrap();
    assert_eq!(answers(&mut own), valid);
    // What is not committed is seen by its own transaction alone, and by nobody when it is taken
    // back.
    for end in ["UPDATE apikey.key SET revoked_at = now()", "DELETE FROM apikey.key"] {
        own.batch_execute(&format!("BEGIN; {end}")).unwrap();
        assert_eq!(answers(&mut own), [None, Some(true)], "{end}");
        own.batch_execute("ROLLBACK").unwrap();
        assert_eq!(answers(&mut own), valid, "{end}, rolled back");
        own.batch_execute(&format!("BEGIN; SAVEPOINT s; {end}; ROLLBACK TO s")).unwrap();
        assert_eq!(answers(&mut own), valid, "{end}, rolled back to a savepoint");
        own.batch_execute("COMMIT").unwrap();
    }
    own.batch_execute("DELETE FROM apikey.key").unwrap();
    assert_eq!(answers(&mut own), [None; 2]);
}

/// There is room for 1024 proofs, but only in the places where they belong: four of them in each of
/// 256.
#[test]
fn a_full_table_gives_up_old_proofs_and_every_key_stays_valid() {
    let database = alone(&["apikey.proof_cache_size = '16kB'"]);
    let mut client = database.superuser();
    let keys: Vec<String> = client
        .query("SELECT apikey_create('key ' || n, 'event') FROM generate_series(1, 800) AS n", &[])
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect();
    for round in 1..=2 {
        for key in &keys {
            assert!(is_valid(&mut client, key), "round {round}");
        }
    }
    assert!(stat(&mut client, "proof_evictions") > 0);
    // Few were given up, or there would be no use in the table.
    assert!(stat(&mut client, "proof_hits") > 300);
    assert!(!keys.iter().any(|key| is_valid(&mut client, &wrong_secret(key))));
}

/// What a clean shutdown leaves.
fn file(database: &Database) -> PathBuf {
    let data = one(&mut database.superuser(), "SHOW data_directory").unwrap();
    [&data, "pg_stat", "apikey_proofs"].iter().collect()
}

fn restart(database: &Database) {
    database.cluster.stop();
    database.cluster.start();
}

#[test]
fn proofs_of_generated_keys_alone_outlast_a_restart() {
    let database = alone(&[]);
    let (generated, chosen) = (database.key("'event'"), chosen_key(&database));
    let file = file(&database);
    let mut client = database.superuser();
    assert!(is_valid(&mut client, &generated) && is_valid(&mut client, &chosen));
    drop(client);
    assert!(!file.exists(), "a backup of a running server would have it");

    database.cluster.stop();
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let saved = fs::read(&file).unwrap();
    assert_eq!(saved.len(), 16 + 64 + 16 + 16, "mark, MAC key, one proof, checksum");
    for text in [&generated[..8], &generated[9..17], &chosen[..8], &chosen[9..17], "argon2id"] {
        let has_it = saved.windows(text.len()).any(|window| window == text.as_bytes());
        assert!(!has_it, "{text} is in the file");
    }
    database.cluster.start();
    assert!(!file.exists());
    let mut client = database.superuser();
    for (key, taken) in [(&generated, 0), (&chosen, 1)] {
        assert!(!is_valid(&mut client, &wrong_secret(&generated)));
        assert_eq!(hashes(&database, || assert!(is_valid(&mut client, key))), taken, "{key}");
    }
    // Twice, as well: what was restored is saved like any other.
    drop(client);
    restart(&database);
    let mut client = database.superuser();
    assert_eq!(hashes(&database, || assert!(is_valid(&mut client, &generated))), 0);
}

#[test]
fn a_file_that_is_not_whole_is_ignored_and_the_log_says_so() {
    type Damage = fn(&mut Vec<u8>);
    const DAMAGES: [(&str, Damage); 5] = [
        ("nothing in it", Vec::clear),
        ("the first half", |saved| saved.truncate(saved.len() / 2)),
        ("one proof more", |saved| saved.extend([0; 16])),
        ("another proof", |saved| saved[80] ^= 1),
        ("another version", |saved| saved[14] = b'1'),
    ];
    let database = alone(&[]);
    let key = database.key("'event'");
    let file = file(&database);
    for (what, damage) in DAMAGES {
        assert!(is_valid(&mut database.superuser(), &key), "{what}");
        database.cluster.stop();
        let mut saved = fs::read(&file).unwrap();
        damage(&mut saved);
        fs::write(&file, saved).unwrap();
        let logged = database.cluster.log().len();
        database.cluster.start();
        let log = &database.cluster.log()[logged..];
        assert!(log.contains("apikey: pg_stat/apikey_proofs was not whole"), "{what}: {log}");
        assert!(!file.exists(), "{what}");
        let mut client = database.superuser();
        assert!(!is_valid(&mut client, &wrong_secret(&key)), "{what}");
        assert_eq!(hashes(&database, || assert!(is_valid(&mut client, &key))), 1, "{what}");
    }
    // Whole, but not to be read. It is replaced at the next shutdown.
    database.cluster.stop();
    fs::set_permissions(&file, Permissions::from_mode(0o000)).unwrap();
    database.cluster.start();
    assert!(database.cluster.log().contains("apikey: cannot take pg_stat/apikey_proofs"));
    assert_eq!(hashes(&database, || assert!(is_valid(&mut database.superuser(), &key))), 1);
    restart(&database);
    assert_eq!(hashes(&database, || assert!(is_valid(&mut database.superuser(), &key))), 0);
}

/// What shared memory had is lost, or is not to be trusted: all that this may cost is a hash per
/// key.
#[test]
fn after_a_crash_or_an_immediate_shutdown_keys_are_checked() {
    let database = alone(&["apikey.max_concurrent_hashes = 1"]);
    let (key, fresh) = (database.key("'event'"), database.key("'event'"));
    let file = file(&database);
    assert!(is_valid(&mut database.superuser(), &key));
    database.cluster.crash();
    database.cluster.start();
    assert!(!file.exists());
    let mut client = database.superuser();
    assert!(!is_valid(&mut client, &wrong_secret(&key)) && is_valid(&mut client, &key));

    // Killed while it hashes, it takes the one turn that there is with it.
    let costly = "UPDATE apikey.key SET verifier = replace(verifier, 'm=1024,t=1', 'm=65536,t=16') WHERE prefix = $1";
    client.execute(costly, &[&&fresh[..8]]).unwrap();
    let mut hashing = database.superuser();
    let pid = one(&mut hashing, "SELECT pg_backend_pid()").unwrap();
    let before = stat(&mut client, "hashes");
    let check_fresh = format!("SELECT apikey_check('{fresh}', NULL)");
    let hashing = std::thread::spawn(move || hashing.simple_query(&check_fresh).is_ok());
    eventually("it hashes", || stat(&mut client, "hashes") > before);
    run(&mut program("kill", &["-s", "KILL", &pid])).success();
    assert!(!hashing.join().unwrap(), "the hash was done before the backend was killed");
    database.wait_for_recovery();
    let mut client = database.superuser();
    assert!(!is_valid(&mut client, &wrong_secret(&key)));
    assert_eq!(hashes(&database, || assert!(is_valid(&mut client, &key))), 1);
    // And what is remembered from now on is saved, as ever.
    drop(client);
    restart(&database);
    assert_eq!(hashes(&database, || assert!(is_valid(&mut database.superuser(), &key))), 0);
}
