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

/// Of any shape, in a header of its own, with somebody else's `Authorization` beside it: as
/// `tests/django/generators.py` has Django itself say that they pass.
#[test]
fn holders_keep_their_header_and_their_key_of_another_shape() {
    let mut database = Database::new();
    let keys = Django::Current.other_keys(&database, "public");
    let arguments = ["-X", "-v", "auth=event", "-v", "dry_run=off", "-v"];
    for table in ["table=public.venue_key", "table=public.venue_nameless"] {
        database
            .client_program("psql", &[&arguments[..], &[table, "-f", SCRIPT]].concat())
            .success();
    }
    let shim = Shim::start_for_auth(&mut database, &["--key-header", "X-Api-Key"]);
    let jwt = "Authorization: Bearer of.a.jwt";
    let refusal = shim.get("/api/user/keytest/", &[]);
    for (label, key) in &keys {
        let line = format!("X-Api-Key: {key}");
        let answer = shim.get("/api/user/keytest/", &[&line, jwt]);
        assert_eq!(
            (answer.status(), &*answer.body),
            (200, r#"{"auth":"event","ip_request":"127.0.0.1","ip_valid":true}"#),
            "{label}"
        );
        let pass = shim.get("/auth?scope=event", &[jwt, &line]);
        assert_eq!(pass.status(), 200, "{label}");
        assert_eq!(pass.header("x-apikey-prefix"), key.split('.').next(), "{label}");
        let wrong = format!("X-Api-Key: {}", wrong_secret(key));
        let elsewhere = format!("Authorization: Api-Key {key}");
        let with_scheme = format!("X-Api-Key: Api-Key {key}");
        for lines in [
            &[&*wrong, jwt][..],
            &[&*wrong, &elsewhere],
            &[&elsewhere],
            &[&with_scheme],
            &[&line, &line],
            &[&line, &wrong],
        ] {
            assert_eq!(shim.get("/api/user/keytest/", lines), refusal, "{label}: {lines:?}");
        }
    }
}

/// The names that are in use elsewhere, in any case and over HTTP/1.1 as in Kong, Django and
/// others.
#[test]
fn the_header_of_the_key_is_a_setting() {
    let mut database = Database::new();
    let key = database.key("'event'");
    let checker = database.checker();
    for header in ["Api-Key", "apikey"] {
        let shim = Shim::start_as(
            &checker,
            &database.conninfo(&checker),
            &["--key-header", header, "--cors-origin", "https://shop.example"],
        );
        let ask = |name: &str| {
            shim.get(
                "/api/user/keytest/",
                &[&format!("{name}: {key}"), "Authorization: Basic YTpi"],
            )
        };
        assert_eq!(ask(header).status(), 200);
        assert_eq!(ask(&header.to_uppercase()).status(), 200);
        let refusal = ask("X-Api-Key");
        refusal.assert_problem(401);
        assert!(refusal.header("www-authenticate").is_some());
        // A page may send it.
        let preflight = shim.request(
            "OPTIONS",
            "/api/user/keytest/",
            &["Origin: https://shop.example", "Access-Control-Request-Method: GET"],
        );
        let allowed = preflight.header("access-control-allow-headers").unwrap_or_default();
        assert!(allowed.split(", ").any(|name| name.eq_ignore_ascii_case(header)), "{allowed}");
    }
}
