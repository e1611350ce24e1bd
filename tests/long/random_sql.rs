//! Random SQL, by sqlsmith, that calls whatever the extension has: nothing crashes.
//!
//! `SQLSMITH_SECONDS` says for how long (20), `SQLSMITH_SEED` which statements (1).

use apikey_tests::{Cluster, Database, one, program, run};

/// One who may call everything and change everything, but is no superuser: nothing that ends
/// backends or writes files. Of the thousands of functions it sees, and so draws from, little but
/// the extension's own.
const PREPARE: &str = "
    CREATE SCHEMA smith;
    CREATE VIEW smith.pg_proc AS
        SELECT * FROM pg_catalog.pg_proc
         WHERE pronamespace = 'apikey'::regnamespace OR proname LIKE 'apikey%'
            OR proname IN ('count', 'host', 'inet_client_addr', 'jsonb_build_array', 'md5', 'now', 'to_json', 'to_jsonb');
    CREATE TABLE smith.sample (key text, ip inet, auth jsonb, scope text, tenant text, keep interval, at timestamptz,
                               answer json, decision apikey_decision, identity apikey_identity);
    INSERT INTO smith.sample (key, ip, auth, scope, tenant, keep, at)
    SELECT apikey_create('key ' || n, 'event'), '10.0.0.1', '\"event\"', 'event', '', '1 year', now()
      FROM generate_series(1, 5) AS n;
    GRANT USAGE ON SCHEMA smith, apikey TO {smith};
    GRANT ALL ON ALL TABLES IN SCHEMA smith, apikey, public TO {smith};
    GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA apikey, public TO {smith};
    GRANT USAGE ON TYPE apikey_decision, apikey_identity TO {smith};
    ALTER ROLE {smith} SET search_path = smith, public, pg_catalog;
    ALTER ROLE {smith} SET statement_timeout = '1s'";

const VALID: &str = "SELECT string_agg(apikey_check(key, ip) ->> 'auth', ' ') FROM smith.sample WHERE key LIKE '%.%'";

/// The lines of a server's log that speak of a crash, or of an internal error (XX000), as a panic
/// in Rust is.
fn crashes(log: &str) -> Vec<&str> {
    let signs = ["PANIC:", "was terminated by signal", "TRAP:", " XX000 "];
    log.lines().filter(|line| signs.iter().any(|sign| line.contains(sign))).collect()
}

#[test]
fn random_sql_crashes_nothing() {
    let mut database = Database::in_cluster(Cluster::private(&[
        "track_functions = all",
        "log_min_error_statement = panic",
        "log_line_prefix = '%m [%p] %e '",
    ]));
    let smith = database.login("smith", "");
    let mut client = database.superuser();
    client.batch_execute(&PREPARE.replace("{smith}", &smith.role)).unwrap();
    let started = one(&mut client, "SELECT pg_postmaster_start_time()");

    let [seconds, seed] = [("SQLSMITH_SECONDS", "20"), ("SQLSMITH_SEED", "1")]
        .map(|(name, usual)| std::env::var(name).unwrap_or_else(|_| usual.to_owned()));
    let target = format!("--target={} password='{}'", database.conninfo(&smith), smith.password);
    let seed = format!("--seed={seed}");
    let arguments = [&seconds, "sqlsmith", &target, &seed, "--exclude-catalog", "--verbose"];
    let output = run(&mut program("timeout", &arguments));
    // It has no end of its own.
    assert_eq!(output.code, Some(124), "{}{}", output.stdout, output.stderr);

    let mut client = database.superuser();
    assert_eq!(one(&mut client, "SELECT pg_postmaster_start_time()"), started);
    assert_eq!(crashes(&database.cluster.log()), Vec::<&str>::new());
    assert_eq!(one(&mut client, VALID).as_deref(), Some("event event event event event"));
    let reached = "SELECT count(*) FROM pg_stat_user_functions
                    WHERE schemaname = 'apikey' OR funcname LIKE 'apikey%'";
    let reached: u32 = one(&mut client, reached).unwrap().parse().unwrap();
    assert!(reached > 10, "random SQL called {reached} functions of the extension only");

    // A crash would have been seen.
    let pid = one(&mut client, "SELECT pg_backend_pid()").unwrap();
    let crash = format!("COPY (SELECT) TO PROGRAM 'kill -s KILL {pid}'");
    client.batch_execute(&crash).unwrap_err();
    database.wait_for_recovery();
    assert_ne!(crashes(&database.cluster.log()), Vec::<&str>::new());
}
