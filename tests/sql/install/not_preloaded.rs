//! Without `shared_preload_libraries` keys work as well: each connection remembers for itself, and
//! the log says so.

use apikey_tests::{Cluster, Database, is_valid, one, stat, wrong_secret};

#[test]
fn each_connection_hashes_a_key_once_and_says_once_what_would_spare_it() {
    let database = Database::in_cluster(Cluster::private(&[]));
    let key = database.key("'event'");
    let wrong = wrong_secret(&key);
    for _ in 0..2 {
        let mut client = database.superuser();
        let pid = one(&mut client, "SELECT pg_backend_pid()").unwrap();
        for _ in 0..3 {
            assert!(!is_valid(&mut client, &wrong) && is_valid(&mut client, &key));
        }
        let counters = ["hashes", "proof_hits", "accepted", "wrong_secret", "preloaded"];
        assert_eq!(counters.map(|name| stat(&mut client, name)), [1, 2, 3, 3, 0]);

        let log = database.cluster.log();
        let said: Vec<_> = log.lines().filter(|line| line.contains(&format!("[{pid}]"))).collect();
        let notice = said.iter().filter(|line| line.contains("LOG:  apikey is not preloaded"));
        assert_eq!(notice.count(), 1, "{said:?}");
        let hint = said.iter().filter(|line| line.contains("HINT:  Add apikey to shared_preload"));
        assert_eq!(hint.count(), 1, "{said:?}");
    }
    // The verdict is nobody's memory here, either.
    let mut client = database.superuser();
    assert!(is_valid(&mut client, &key));
    one(&mut database.superuser(), &format!("SELECT apikey_revoke('{}')", &key[..8])).unwrap();
    assert!(!is_valid(&mut client, &key));

    let data = one(&mut client, "SHOW data_directory").unwrap();
    drop(client);
    database.cluster.stop();
    assert!(!std::path::Path::new(&data).join("pg_stat/apikey_proofs").exists());
    database.cluster.start();
    assert!(!is_valid(&mut database.superuser(), &key));
}

/// A message that Postgres logs comes with its statement and its context, and this one comes at a
/// first check.
#[test]
fn what_the_log_says_has_no_key_in_it() {
    let database = Database::in_cluster(Cluster::private(&[]));
    let key = database.key("'event'");
    for statement in [
        "SELECT apikey_check('KEY', NULL)",
        "SELECT apikey_explain('KEY', NULL)",
        "DO $$ BEGIN PERFORM apikey_check('KEY', NULL); END $$",
    ] {
        database.superuser().batch_execute(&statement.replace("KEY", &key)).unwrap();
    }
    let log = database.cluster.log();
    // Once for each connection, that of CREATE EXTENSION among them.
    assert_eq!(log.matches("LOG:  apikey is not preloaded").count(), 5);
    assert!(!log.contains(&key[9..]), "{log}");
}

/// The server's log has it at the first check, and whoever installs the extension sees it at once.
#[test]
fn who_installs_or_updates_it_is_told_and_where_it_is_preloaded_nobody_is() {
    for (settings, is_told) in [(&[][..], true), (&["shared_preload_libraries = 'apikey'"], false)]
    {
        let database = Database::without_extension(Cluster::private(settings));
        for statement in [
            "CREATE EXTENSION apikey",
            "DROP EXTENSION apikey; CREATE EXTENSION apikey VERSION '0.3.0'",
            "ALTER EXTENSION apikey UPDATE",
        ] {
            let output = database.client_program("psql", &["-X", "-c", statement]);
            assert_eq!(output.code, Some(0), "{}", output.stderr);
            let warnings = output.stderr.matches("WARNING:  apikey is not preloaded").count();
            let is_old = statement.contains("0.3.0");
            assert_eq!(warnings, usize::from(is_told && !is_old), "{}", output.stderr);
            let hint = "HINT:  Add apikey to shared_preload_libraries in postgresql.conf, and restart the server.";
            assert_eq!(output.stderr.contains(hint), is_told && !is_old, "{}", output.stderr);
        }
    }
}

/// A stranger sets the parameter before the library is loaded, when Postgres does not know it yet.
#[test]
fn a_placeholder_does_not_smuggle_a_cheaper_hash_in() {
    let mut database = Database::in_cluster(Cluster::private(&[]));
    let issuer = database.login("issuer", "");
    database
        .superuser()
        .batch_execute(&format!(
            "ALTER DATABASE {} RESET ALL; GRANT EXECUTE ON FUNCTION apikey_create(text, text, inet, inet[], text, timestamptz, text, jsonb) TO {}",
            database.name, issuer.role
        ))
        .unwrap();
    let mut client = database.connect(&issuer);
    client.batch_execute("SET apikey.argon2_memory = '1MB'").unwrap();
    one(&mut client, "SELECT apikey_create('till', 'event')");
    let cost =
        one(&mut database.superuser(), "SELECT split_part(verifier, '$', 4) FROM apikey.key");
    assert_eq!(cost.as_deref(), Some("m=19456,t=2,p=1"));
}

/// There is nobody to store a hash, and so none is made.
#[test]
fn no_hash_is_renewed() {
    let database = Database::in_cluster(Cluster::private(&[]));
    let key = database.key("'event'");
    let mut client = database.superuser();
    client.batch_execute("SET apikey.argon2_iterations = 2").unwrap();
    assert!((0..3).all(|_| is_valid(&mut client, &key)));
    assert_eq!(stat(&mut client, "hashes"), 1, "one that it is right");
    let cost = one(&mut client, "SELECT split_part(verifier, '$', 4) FROM apikey.key");
    assert_eq!(cost.as_deref(), Some("m=1024,t=1,p=1"));
}
