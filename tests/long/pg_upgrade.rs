//! `pg_upgrade` from the major before takes every key along.

use apikey_tests::{Cluster, Database, from_test_script, one};

const KEYS: &str = "SELECT string_agg(k::text, E'\\n' ORDER BY prefix) FROM apikey.key AS k";
const SCOPES: &str = "SELECT string_agg(s::text, E'\\n' ORDER BY name) FROM apikey.scope AS s";
const EVENTS: &str = "SELECT string_agg(e::text, E'\\n' ORDER BY id) FROM apikey.event AS e";
const MAJOR: &str = "SELECT current_setting('server_version_num')::int / 10000";

#[test]
fn keys_work_on_after_pg_upgrade() {
    // As scripts/test says: of the major before, or of the same one where there is none.
    let old_server = from_test_script("APIKEY_OLD_PG_CONFIG");
    let database = Database::in_cluster(Cluster::of_server(&old_server));
    let live =
        database.key("'[\"event\",\"ticket\"]'::jsonb, '10.0.0.0/8', metadata => '{\"a\": 1}'");
    let [revoked, rotated] = [database.key("'event'"), database.key("'event'")];
    let mut client = database.superuser();
    one(&mut client, &format!("SELECT apikey_revoke('{revoked}')"));
    let successor =
        one(&mut client, &format!("SELECT apikey_rotate('{rotated}', '1 day')")).unwrap();
    client.batch_execute("INSERT INTO apikey.scope VALUES ('event', 'May see events')").unwrap();
    let rows = [KEYS, SCOPES, EVENTS];
    let before = rows.map(|rows| one(&mut client, rows));
    let old_major = one(&mut client, MAJOR);
    drop(client);

    database.cluster.stop();
    database.cluster.upgrade();
    database.cluster.start();

    let mut client = database.superuser();
    let new_major = one(&mut client, MAJOR);
    let same_server = old_server == from_test_script("PG_CONFIG");
    assert_eq!(new_major == old_major, same_server, "from {old_major:?} to {new_major:?}");
    assert_eq!(rows.map(|rows| one(&mut client, rows)), before);
    let answer = |key: &str| format!("SELECT apikey_check('{key}', '10.0.0.1') ->> 'ip_valid'");
    for (key, expected) in [
        (&live, Some("true")),
        (&revoked, None),
        (&rotated, Some("true")),
        (&successor, Some("true")),
    ] {
        assert_eq!(one(&mut client, &answer(key)).as_deref(), expected, "{key}");
    }
    // And it goes on: a new key, the end of an old one, and the trail of both.
    let new = database.key("'event'");
    assert!(one(&mut client, &answer(&new)).is_some());
    one(&mut client, &format!("SELECT apikey_revoke('{live}')"));
    assert_eq!(one(&mut client, &answer(&live)), None);
    let trail = format!(
        "SELECT string_agg(action, ' ' ORDER BY at) FROM apikey_events WHERE prefix = '{}'",
        &live[..8]
    );
    assert_eq!(one(&mut client, &trail).as_deref(), Some("create revoke"));
}
