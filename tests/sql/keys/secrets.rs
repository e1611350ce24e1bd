//! The secret is in the one answer that shows it, and nowhere else.

use apikey_tests::{Database, one, refused};

/// Everything that Postgres can be told to log is logged, nested statements with their parameters,
/// too.
const LOG_ALL: &str = "
    LOAD 'auto_explain';
    SET auto_explain.log_min_duration = 0;
    SET auto_explain.log_nested_statements = on;
    SET auto_explain.log_analyze = on;
    SET log_statement = 'all';
    SET log_min_duration_statement = 0;
    SET log_error_verbosity = verbose;
    SET log_min_messages = debug5";

#[test]
fn creating_a_key_logs_no_secret() {
    let database = Database::new();
    let mut client = database.superuser();
    client.batch_execute(LOG_ALL).unwrap();
    let name = format!("logged in {}", database.name);
    let key = one(&mut client, &format!("SELECT apikey_create('{name}', 'event')")).unwrap();
    let log = database.cluster.log();
    assert!(log.contains(&name) && log.contains("INSERT INTO apikey.key"), "nothing was logged");
    assert!(!log.contains(&key[9..]));
}

/// The key goes in as a parameter, and logging parameters is off, as for the shim's role.
#[test]
fn checking_and_revoking_by_parameter_logs_no_secret() {
    let database = Database::new();
    let key = database.key("'event'");
    let mut client = database.superuser();
    client.batch_execute(LOG_ALL).unwrap();
    client
        .batch_execute(
            "SET log_parameter_max_length = 0;
             DO $$ BEGIN
                 IF current_setting('server_version_num')::int >= 160000 THEN
                     SET auto_explain.log_parameter_max_length = 0;
                 END IF;
             END $$",
        )
        .unwrap();
    let check = "SELECT apikey_check($1, NULL)::text /* of this test */";
    let answer: Option<String> = client.query_one(check, &[&key]).unwrap().get(0);
    assert!(answer.is_some());
    client.query_one("SELECT apikey_revoke($1)", &[&key]).unwrap();
    let log = database.cluster.log();
    assert!(log.contains("/* of this test */"), "nothing was logged");
    assert!(!log.contains(&key[9..]));
}

/// The statements inside the functions get prefixes as parameters, never a key.
#[test]
fn no_statement_inside_a_function_has_the_key_among_its_parameters() {
    let database = Database::new();
    let key = database.key("'event'");
    let mut client = database.superuser();
    // Taken from a setting, so that the outer statements do not have the key in their text.
    client.execute("SELECT set_config('test.key', $1, false)", &[&key]).unwrap();
    client.batch_execute(LOG_ALL).unwrap();
    for call in [
        "apikey_check(KEY, NULL)",
        "(apikey_authorize(KEY, NULL)).allowed",
        "apikey_explain(KEY, NULL)",
        "apikey_login(KEY, NULL)",
        "apikey_disable(KEY)",
        "apikey_enable(KEY)",
        "apikey_rotate(KEY, '1 day') <> ''",
        "apikey_revoke(KEY)",
    ] {
        let call = call.replace("KEY", "current_setting('test.key')");
        one(&mut client, &format!("SELECT {call}")).unwrap();
    }
    let log = database.cluster.log();
    assert!(log.contains("UPDATE apikey.key AS k"), "no nested statement was logged");
    if one(&mut client, "SHOW server_version_num") >= Some("160000".to_owned()) {
        assert!(log.contains(&key[..8]), "the nested statements' parameters were not logged");
    }
    assert!(!log.contains(&key[9..]));
}

#[test]
fn errors_show_neither_secret_nor_verifier() {
    let database = Database::new();
    let mut client = database.superuser();
    let key = database.key("'event'");
    for statement in [
        format!("SELECT apikey_revoke('{}!')", &key[..7]),
        "SELECT apikey_create('', 'event')".to_owned(),
        format!("SELECT apikey.make_verifier('{key}!')"),
    ] {
        let refusal = refused(client.batch_execute(&statement));
        assert!(!refusal.whole().contains(&key[9..]), "{}", refusal.whole());
        assert!(!refusal.whole().contains("argon2id$"), "{}", refusal.whole());
        assert!(!refusal.hint().is_empty(), "{statement}");
    }
}
