//! Checks in parallel workers say what they say elsewhere, and are counted.

use apikey_tests::{Cluster, Database, eventually, one, wrong_secret};
use postgres::Client;

/// Without the leader's participation, all is the workers' work.
const PARALLEL: &str = "SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
    SET max_parallel_workers_per_gather = 4; SET parallel_leader_participation = off";

/// With a table of a thousand questions about each of two keys, and of a thousand wrong ones.
fn asked() -> (Database, Client) {
    let database = Database::in_cluster(Cluster::preloaded(&["max_worker_processes = 16"]));
    let mut client = database.superuser();
    let keys = ["'event'", "'ticket'"].map(|auth| database.key(auth));
    client
        .batch_execute(&format!(
            "CREATE TABLE asked AS SELECT k AS key FROM generate_series(1, 1000),
                 unnest('{{{},{},{}}}'::text[]) AS k;
             ANALYZE asked; {PARALLEL}",
            keys[0],
            keys[1],
            wrong_secret(&keys[0])
        ))
        .unwrap();
    (database, client)
}

#[test]
fn workers_give_the_right_answers_and_count_each() {
    let (database, mut client) = asked();
    let mut uses = 0;
    for call in [
        "apikey_check(key, NULL) ->> 'auth'",
        "apikey_check(key, NULL, '') ->> 'auth'",
        "(apikey_authorize(key, NULL)).auth #>> '{}'",
    ] {
        let count = format!("SELECT key FROM asked WHERE {call} = 'event'");
        let rows = client.query(&format!("EXPLAIN (ANALYZE, COSTS off) {count}"), &[]).unwrap();
        let plan = rows.iter().map(|row| row.get::<_, String>(0)).collect::<Vec<_>>().join("\n");
        let gather = plan.find("Gather").unwrap_or_else(|| panic!("{plan}"));
        assert!(plan[gather..].contains("Filter: "), "{plan}");
        assert!(!plan.contains("Workers Launched: 0"), "{plan}");
        let answer = format!("SELECT count(*) || ' ' || count(DISTINCT key) FROM ({count}) AS c");
        assert_eq!(one(&mut client, &answer).as_deref(), Some("1000 1"), "{call}");
        uses += 2;
    }
    let used = format!(
        "SELECT string_agg(accepted || ' ' || refused, ', ' ORDER BY auth) FROM apikeys WHERE owner = '{}'",
        database.cluster.superuser().role
    );
    let expected = format!("{0} {0}, {0} 0", uses * 1000);
    assert_eq!(one(&mut client, &used), Some(expected));
}

/// A worker looks for the table by itself, when its statement's snapshot has been taken already.
#[test]
fn workers_that_wait_for_the_table_to_be_rewritten_find_the_key() {
    let (database, mut client) = asked();
    let mut rewriting = database.superuser();
    rewriting
        .batch_execute("BEGIN; ALTER TABLE apikey.key ADD note uuid DEFAULT gen_random_uuid()")
        .unwrap();
    let waiting = "SELECT count(*) > 0 FROM pg_stat_activity
         WHERE backend_type = 'parallel worker' AND wait_event_type = 'Lock'";
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let count = "SELECT count(*) FROM asked WHERE apikey_check(key, NULL) IS NOT NULL";
            one(&mut client, count)
        });
        let mut watching = database.superuser();
        eventually("workers wait", || one(&mut watching, waiting).as_deref() == Some("t"));
        rewriting.batch_execute("COMMIT").unwrap();
        assert_eq!(asking.join().unwrap().as_deref(), Some("2000"));
    });
}
