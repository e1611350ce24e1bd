//! Keys that a real Django made, moved in and asked about over HTTP.

use apikey_tests::{Database, Django, Shim, wrong_secret};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../sql/import/django.sql");

#[test]
fn keys_from_django_go_on_working() {
    let mut database = Database::new();
    let mut keys = Vec::new();
    for (schema, django, hasher) in [
        ("current", Django::Current, None),
        ("pbkdf2", Django::Two, None),
        ("argon2", Django::Two, Some("Argon2PasswordHasher")),
    ] {
        database.superuser().batch_execute(&format!("CREATE SCHEMA {schema}")).unwrap();
        keys.extend(django.keys(&database, schema, hasher));
        let table = format!("table={schema}.rest_framework_api_key_apikey");
        let arguments = ["-X", "-v", "auth=event", "-v", "dry_run=off", "-v", &table, "-f", SCRIPT];
        database.client_program("psql", &arguments).success();
    }
    assert_eq!(keys.len(), 15);

    let shim = Shim::start(&mut database, &[]);
    let refusal = shim.get("/api/user/keytest/", &[]);
    for (label, key) in &keys {
        for turn in ["as Django stored it", "renewed"] {
            let answer = shim.ask(key);
            if ["revoked", "expired"].contains(&&**label) {
                assert_eq!(answer, refusal, "{label} {turn}");
            } else {
                assert_eq!(
                    (answer.status(), &*answer.body),
                    (200, r#"{"auth":"event","ip_request":"127.0.0.1","ip_valid":true}"#),
                    "{label} {turn}"
                );
            }
        }
        let wrong = wrong_secret(key);
        assert_eq!(shim.ask(&wrong), refusal, "{label}");
    }
}
