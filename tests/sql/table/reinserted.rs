//! A key that was deleted and comes back inherits no counts, neither stored ones nor those in
//! shared memory.

use crate::records::usage::{check, stored, used, wait_for_stored};
use apikey_tests::{Database, one};
use postgres::Client;

const NEVER_USED: &str = "SELECT accepted = 0 AND refused = 0 AND last_used_at IS NULL AND last_used_ip IS NULL FROM apikeys";

/// A key that was used from 10.0.0.1, twice, once from elsewhere, and is put aside.
fn used_and_put_aside(database: &Database) -> String {
    let mut client = database.superuser();
    let key = database.key("'event', '10.0.0.1'");
    for ip in ["'10.0.0.1'", "'10.0.0.1'", "NULL"] {
        check(&mut client, &key, ip);
    }
    let put_aside = "CREATE TABLE kept AS SELECT * FROM apikey.key";
    client.batch_execute(put_aside).unwrap();
    key
}

fn assert_begun_anew(client: &mut Client, key: &str) {
    assert_eq!(one(client, NEVER_USED).as_deref(), Some("t"));
    check(client, key, "NULL");
    assert_eq!(used(client, key), "0 1 -");
    wait_for_stored(client, key, "0 1 -");
    check(client, key, "'10.0.0.1'");
    assert_eq!(used(client, key), "1 1 10.0.0.1");
    wait_for_stored(client, key, "1 1 10.0.0.1");
    assert_eq!(used(client, key), "1 1 10.0.0.1");
}

const DELETE: &str = "DELETE FROM apikey.key";
const INSERT: &str = "INSERT INTO apikey.key SELECT * FROM kept";

#[test]
fn a_row_that_comes_back_has_no_uses() {
    for is_stored in [true, false] {
        let database = Database::new();
        let key = used_and_put_aside(&database);
        let mut client = database.superuser();
        if is_stored {
            wait_for_stored(&mut client, &key, "2 1 10.0.0.1");
        }
        client.batch_execute(DELETE).unwrap();
        client.batch_execute(INSERT).unwrap();
        assert_begun_anew(&mut client, &key);
        // Again, in one transaction.
        client.batch_execute(&format!("BEGIN; {DELETE}; {INSERT}; COMMIT")).unwrap();
        assert_begun_anew(&mut client, &key);
        // Logical replication sets this.
        client
            .batch_execute(&format!("SET session_replication_role = replica; {DELETE}; {INSERT}"))
            .unwrap();
        assert_begun_anew(&mut client, &key);
    }
}

#[test]
fn a_key_that_stays_after_all_keeps_its_uses() {
    let database = Database::new();
    let key = used_and_put_aside(&database);
    let mut client = database.superuser();
    client.batch_execute(&format!("BEGIN; {DELETE}; {INSERT}; ROLLBACK")).unwrap();
    assert_eq!(used(&mut client, &key), "2 1 10.0.0.1");
    wait_for_stored(&mut client, &key, "2 1 10.0.0.1");
}

/// The key and its uses come from a dump, in whichever order: it has those of the dump, and no
/// later ones.
#[test]
fn a_row_that_is_restored_has_the_uses_of_its_dump() {
    let tables = ["key", "usage"];
    for order in [tables, [tables[1], tables[0]]] {
        let database = Database::new();
        let key = used_and_put_aside(&database);
        let mut client = database.superuser();
        wait_for_stored(&mut client, &key, "2 1 10.0.0.1");
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_str().unwrap();
        let dump = ["--format=custom", "--data-only", "--file", path];
        database.client_program("pg_dump", &dump).success();
        check(&mut client, &key, "'10.0.0.1'");
        wait_for_stored(&mut client, &key, "3 1 10.0.0.1");
        client.batch_execute(DELETE).unwrap();
        for table in order {
            let table = format!("--table={table}");
            let restore =
                ["--exit-on-error", "--schema=apikey", &table, "-d", &database.name, path];
            database.client_program("pg_restore", &restore).success();
        }
        assert_eq!(used(&mut client, &key), "2 1 10.0.0.1", "{order:?}");
        check(&mut client, &key, "NULL");
        assert_eq!(used(&mut client, &key), "2 2 10.0.0.1", "{order:?}");
        wait_for_stored(&mut client, &key, "2 2 10.0.0.1");
        assert_eq!(used(&mut client, &key), "2 2 10.0.0.1", "{order:?}");
    }
}

/// Counts that are legal, and too large or too small for the sum.
#[test]
fn no_count_stops_the_view_or_the_worker() {
    let database = Database::new();
    let key = used_and_put_aside(&database);
    let mut client = database.superuser();
    wait_for_stored(&mut client, &key, "2 1 10.0.0.1");
    let (least, most) = ("0", i64::MAX.to_string());
    for counts in [
        format!("accepted = {most}, refused = {most}"),
        format!(
            "slot_accepted = {most}, slot_refused = {most}, accepted = {least}, refused = {least}"
        ),
        format!(
            "slot_accepted = {least}, slot_refused = {least}, accepted = {most}, refused = {most}"
        ),
        "last_used_at = 'infinity'".to_owned(),
        "last_used_at = '-infinity'".to_owned(),
    ] {
        client.batch_execute(&format!("UPDATE apikey.usage SET {counts}")).unwrap();
        one(&mut client, "SELECT row(k.*) FROM apikeys AS k");
        check(&mut client, &key, "'10.0.0.1'");
        // Another key's uses are stored in the same batch.
        let other = database.key("'event'");
        check(&mut client, &other, "NULL");
        wait_for_stored(&mut client, &other, "1 0 -");
        client.execute("DELETE FROM apikey.key WHERE prefix = $1", &[&&other[..8]]).unwrap();
        assert_eq!(used(&mut client, &key), stored(&mut client, &key).unwrap(), "{counts}");
    }
}
