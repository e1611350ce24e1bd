//! The cost of a hash: what may be set, and what is taken from a stored verifier.

use apikey_tests::{Database, one, refused};

#[test]
fn new_keys_are_hashed_at_the_cost_that_is_set() {
    let database = Database::new();
    let mut client = database.superuser();
    for (memory, iterations, parallelism) in [(2048, 3, 2), (1024, 1, 1), (19456, 2, 1)] {
        client
            .batch_execute(&format!(
                "SET apikey.argon2_memory = {memory}; SET apikey.argon2_iterations = {iterations};
                 SET apikey.argon2_parallelism = {parallelism}"
            ))
            .unwrap();
        let key = one(&mut client, &format!("SELECT apikey_create('key of {memory} kB', 'event')"));
        let cost = one(
            &mut client,
            "SELECT split_part(verifier, '$', 4) FROM apikey.key ORDER BY created_at DESC LIMIT 1",
        );
        assert_eq!(cost.unwrap(), format!("m={memory},t={iterations},p={parallelism}"));
        // Checked at its own cost, whatever is set by then.
        client.batch_execute("SET apikey.argon2_memory = '1MB'").unwrap();
        assert!(
            one(&mut client, &format!("SELECT apikey_check('{}', NULL)", key.unwrap())).is_some()
        );
    }
}

#[test]
fn the_default_is_owasps_minimum() {
    let database = Database::new();
    let mut client = database.superuser();
    client.batch_execute("LOAD 'apikey'").unwrap();
    let shown = one(
        &mut client,
        "SELECT string_agg(name || '=' || boot_val || coalesce(unit, ''), ' ' ORDER BY name) FROM pg_settings
          WHERE name LIKE 'apikey.argon2%' AND context = 'superuser' AND short_desc <> '' AND extra_desc <> ''",
    );
    assert_eq!(
        shown.as_deref(),
        Some("apikey.argon2_iterations=2 apikey.argon2_memory=19456kB apikey.argon2_parallelism=1")
    );
}

#[test]
fn out_of_bounds_misspelt_or_without_the_right_it_cannot_be_set() {
    let mut database = Database::new();
    let stranger = database.login("stranger", "");
    let mut client = database.superuser();
    client.batch_execute("LOAD 'apikey'").unwrap();
    for (setting, values) in [
        ("apikey.argon2_memory", ["'1023kB'", "'257MB'"]),
        ("apikey.argon2_iterations", ["0", "17"]),
        ("apikey.argon2_parallelism", ["0", "17"]),
    ] {
        for value in values {
            let refusal = refused(client.batch_execute(&format!("SET {setting} = {value}")));
            assert_eq!(refusal.sqlstate(), "22023", "{setting} = {value}");
        }
        let refusal = refused(
            database.connect(&stranger).batch_execute(&format!("LOAD 'apikey'; SET {setting} = 1")),
        );
        assert_eq!(refusal.sqlstate(), "42501", "{setting}");
    }
}

/// Without preloading the server would take it for now: see `not_preloaded`.
#[test]
fn a_preloaded_server_knows_its_settings_before_anything_is_called() {
    let mut database = Database::new();
    let issuer = database.login("issuer", "");
    let mut client = database.connect(&issuer);
    for setting in [
        "apikey.argon2_memory = '1MB'",
        "apikey.argon2_iterations = 1",
        "apikey.argon2_parallelism = 1",
    ] {
        let refusal = refused(client.batch_execute(&format!("SET {setting}")));
        assert_eq!(refusal.sqlstate(), "42501", "{setting}");
    }
    for setting in ["apikey.max_concurrent_hashes = 1", "apikey.proof_cache_size = '16kB'"] {
        let mut superuser = database.superuser();
        let refusal = refused(superuser.batch_execute(&format!("SET {setting}")));
        assert_eq!(refusal.sqlstate(), "55P02", "{setting}");
    }
    // On Postgres 14 a misspelt one is taken, with a warning.
    if one(&mut client, "SHOW server_version_num") >= Some("150000".to_owned()) {
        let refusal = refused(client.batch_execute("SET apikey.argon2_memroy = '1MB'"));
        assert_eq!(refusal.sqlstate(), "42602");
    }
}

/// 999,999 kB fit the shape that the table allows, and not the bound of the check.
#[test]
fn a_stored_cost_out_of_bounds_is_not_paid() {
    let database = Database::new();
    let mut client = database.superuser();
    let key = database.key("'event'");
    for cost in
        ["m=999999,t=1,p=1", "m=1024,t=99,p=1", "m=1024,t=1,p=99", "m=1,t=1,p=1", "m=0,t=0,p=0"]
    {
        client
            .execute(
                "UPDATE apikey.key SET verifier = regexp_replace(verifier, 'm=[^$]*', $1)",
                &[&cost],
            )
            .unwrap();
        assert_eq!(
            one(&mut client, &format!("SELECT apikey_check('{key}', NULL)")),
            None,
            "{cost}"
        );
    }
}

/// A backend that gets no more memory: an allocation that failed in Rust would end the whole
/// server.
#[test]
fn memory_that_cannot_be_had_is_an_error() {
    let database = Database::new();
    let mut client = database.superuser();
    let key = database.key("'event'");
    client.batch_execute("SET apikey.argon2_memory = '256MB'").unwrap();
    let expensive = one(&mut client, "SELECT apikey_create('expensive', 'event')").unwrap();
    let pid = one(&mut client, "SELECT pg_backend_pid()").unwrap();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let size = status.lines().find_map(|line| line.strip_prefix("VmSize:")).unwrap();
    let kilobytes: u64 = size.trim().trim_end_matches(" kB").parse().unwrap();
    let limit = (kilobytes + 64 * 1024) * 1024;
    // By a child of the backend: only a process of the same user may do it.
    let lower = format!("COPY (SELECT) TO PROGRAM 'prlimit --pid {pid} --as={limit}'");
    client.batch_execute(&lower).unwrap();

    for statement in [
        "SELECT apikey_create('another', 'event')".to_owned(),
        format!("SELECT apikey_check('{expensive}', NULL)"),
    ] {
        let refusal = refused(client.batch_execute(&statement));
        assert_eq!(refusal.sqlstate(), "53200", "{}", refusal.message());
        assert_eq!(refusal.message(), "out of memory: Argon2id needs 262144 KiB");
        assert!(!refusal.hint().is_empty());
    }
    assert!(one(&mut client, &format!("SELECT apikey_check('{key}', NULL)")).is_some());
    assert_eq!(one(&mut client, "SELECT pg_backend_pid()"), Some(pid));
}
