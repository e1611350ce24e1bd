//! The owner of the database, who is no superuser and has no right of ours, would have a manager
//! call functions of his.

use apikey_tests::{Office, Pgbouncer, Shim, Traps, Visitor};
use std::fs;

const TRICKS: &[&str] = &[
    "ALTER DATABASE {database} SET search_path = traps, pg_catalog, public",
    "ALTER SCHEMA traps RENAME TO {role}; ALTER SCHEMA {role} RENAME TO traps",
    "CREATE FUNCTION public.apikey_create(text, jsonb, inet, inet[], text, timestamptz, text, jsonb, x int DEFAULT 0)
         RETURNS json LANGUAGE sql AS 'SELECT traps.lie(''create'')';
     CREATE FUNCTION public.apikey_create(VARIADIC text[]) RETURNS json LANGUAGE sql AS 'SELECT traps.lie(''create'')';
     CREATE FUNCTION public.apikey_disable(text, x int DEFAULT 0) RETURNS json LANGUAGE sql AS 'SELECT traps.lie(''disable'')';
     CREATE FUNCTION public.apikey_enable(anyelement, x int DEFAULT 0) RETURNS json LANGUAGE sql AS 'SELECT traps.lie(''enable'')';
     CREATE FUNCTION public.apikey_rotate(text, interval, x int DEFAULT 0) RETURNS json LANGUAGE sql AS 'SELECT traps.lie(''rotate'')';
     CREATE FUNCTION public.apikey_revoke(text, text, x int DEFAULT 0) RETURNS json LANGUAGE sql AS 'SELECT traps.lie(''revoke'')';
     CREATE FUNCTION public.apikey_explain(text, inet, text, x int DEFAULT 0) RETURNS json LANGUAGE sql AS 'SELECT traps.lie(''explain'')';
     CREATE FUNCTION public.apikey_check(text, inet, text, x int DEFAULT 0) RETURNS json LANGUAGE sql AS 'SELECT traps.lie(''check'')'",
    "ALTER DATABASE {database} SET standard_conforming_strings = off",
    "ALTER DATABASE {database} SET array_nulls = off",
    "ALTER DATABASE {database} SET DateStyle = 'SQL, DMY'",
    "ALTER DATABASE {database} SET IntervalStyle = 'sql_standard'",
    "ALTER DATABASE {database} SET default_transaction_isolation = 'serializable'",
    "ALTER DATABASE {database} SET transform_null_equals = on",
    "ALTER DATABASE {database} SET quote_all_identifiers = on",
    "ALTER DATABASE {database} SET plpgsql.extra_errors = 'all'",
];

/// All that a manager does, with what the pages have to show for it.
fn assert_works(ada: &mut Visitor, name: &str, trick: &str) {
    let shown = ada.add(name);
    assert_eq!(shown.status(), 200, "{trick}: {}", shown.body);
    let mut words = shown.body.split(|c: char| !c.is_ascii_alphanumeric() && c != '.');
    let key = words.find(|word| word.len() == 41 && word.find('.') == Some(8));
    let key = key.unwrap_or_else(|| panic!("{trick}: {}", shown.body)).to_owned();
    let page = format!("/keys/{}", &key[..8]);
    let tested = ada.post("/test", &[("key", &key), ("ip", "192.0.2.1")]);
    assert!(tested.body.contains("The key is accepted."), "{trick}: {}", tested.body);
    for (action, status) in [("disable", "disabled"), ("enable", "active")] {
        assert_eq!(ada.post(&format!("{page}/{action}"), &[]).status(), 303, "{trick}");
        let list = ada.get(&format!("/keys?q={name}&status={status}&sort=name"));
        assert!(list.body.contains(&key[..8]), "{trick}: {}", list.body);
    }
    assert_eq!(ada.post(&format!("{page}/revoke"), &[("reason", "lost")]).status(), 303, "{trick}");
    let tested = ada.post("/test", &[("key", &key)]);
    assert!(tested.body.contains("The key is revoked."), "{trick}: {}", tested.body);
    assert!(ada.get(&format!("{page}/events")).body.contains("revoked"), "{trick}");
}

#[test]
fn a_hostile_owner_of_the_database_is_called_for_nothing() {
    let mut office = Office::open(&[]);
    let role = office.ada.role.clone();
    let traps = Traps::set(&mut office.database, &role);
    for (number, trick) in TRICKS.iter().enumerate() {
        // Newer majors know no other strings.
        if traps.spring(&office.database, trick).is_err() {
            assert!(trick.contains("standard_conforming_strings"), "{trick}");
            continue;
        }
        let mut ada = office.desk_of(&office.ada);
        assert_works(&mut ada, &format!("till{number}"), trick);
        traps.assert_nothing_was_caught(&office.database, trick);
    }
}

/// In transaction mode, where what one client sets in a session is there for the next.
#[test]
fn nor_behind_a_pooler() {
    let mut office = Office::open(&[]);
    let ada = office.ada.clone();
    let traps = Traps::set(&mut office.database, &ada.role);
    let users = tempfile::Builder::new()
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .tempfile_in("/tmp")
        .unwrap();
    fs::write(users.path(), format!("\"{}\" \"{}\"\n", ada.role, ada.password)).unwrap();
    let settings = [
        "default_pool_size = 1",
        "auth_type = scram-sha-256",
        &format!("auth_file = {}", users.path().display()),
    ];
    let pooler = Pgbouncer::start_with(&office.database, &ada, &settings);
    let conninfo = format!(
        "host=127.0.0.1 port={} user={} dbname={} sslmode=disable",
        pooler.port(),
        ada.role,
        office.database.name
    );
    office.shim = Shim::start_as(&ada, &conninfo, &["--admin-listen", "127.0.0.1:0"]);
    let mut desk = office.desk_of(&ada);
    let path = "SET search_path = traps, pg_catalog, public";
    pooler.connect_as(&ada).batch_execute(path).unwrap();
    assert_works(&mut desk, "till", path);
    traps.assert_nothing_was_caught(&office.database, path);
}
