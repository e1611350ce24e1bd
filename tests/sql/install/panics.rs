//! A Rust panic is an error for one client and nothing for the others.

use apikey_tests::{Database, from_test_script, one, refused};

#[test]
fn a_panic_is_an_error_and_the_server_goes_on() {
    let database = Database::new();
    let (mut client, mut other) = (database.superuser(), database.superuser());
    let started = "SELECT pg_postmaster_start_time() || ' ' || pg_backend_pid()";
    let before = (one(&mut client, started), one(&mut other, started));
    client
        .batch_execute(&format!(
            "CREATE FUNCTION panic_probe() RETURNS void LANGUAGE c AS '{}', 'panic_probe_wrapper'",
            from_test_script("APIKEY_PANIC_PROBE")
        ))
        .unwrap();
    for _ in 0..3 {
        let refusal = refused(client.batch_execute("SELECT panic_probe()"));
        assert_eq!(refusal.sqlstate(), "XX000");
        assert_eq!(refusal.message(), "the panic probe panicked");
    }
    assert_eq!((one(&mut client, started), one(&mut other, started)), before);
}
