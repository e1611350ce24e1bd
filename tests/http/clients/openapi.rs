//! The description at `/openapi.json`, held against the running shim by schemathesis, and made into
//! a client.

use apikey_tests::{Database, Output, Shim, from_test_script, program, run};
use serde_json::{Value, json};

/// Asks whatever the description allows, and what it forbids, with this key.
fn schemathesis(shim: &Shim, description: &str, key: &str, arguments: &[&str]) -> Output {
    let directory = tempfile::tempdir().unwrap();
    let python = from_test_script("APIKEY_PYTHON_OPENAPI");
    let header = format!("X-Api-Key:{key}");
    let common = ["-m", "schemathesis.cli", "run", description, "--url", &shim.url("")];
    run(program(&python, &common)
        .args(["--header", &header, "--seed", "1", "--max-examples", "40"])
        .args(["--phases", "examples,coverage,fuzzing", "--no-color"])
        .args(["--generation-database", "none", "--continue-on-failure"])
        .args(arguments)
        .current_dir(directory.path()))
}

#[test]
fn the_shim_is_as_it_says() {
    let mut database = Database::new();
    let key = database.key("'[\"event\",\"ticket\"]'::jsonb");
    let shim = Shim::start_for_auth(&mut database, &["--trusted-proxy", "10.0.0.0/8"]);
    let description = shim.url("/openapi.json");
    let output = schemathesis(&shim, &description, &key, &[]);
    assert_eq!(output.code, Some(0), "{}{}", output.stdout, output.stderr);
    assert!(output.stdout.contains("No issues found"), "{}", output.stdout);
}

/// That test would notice if the description were wrong.
#[test]
fn a_wrong_description_is_noticed() {
    let mut database = Database::new();
    let key = database.key("'event'");
    let shim = Shim::start_for_auth(&mut database, &[]);
    let body = shim.get("/openapi.json", &[]).body;
    let right: Value = serde_json::from_str(&body).unwrap();
    let file = tempfile::Builder::new().suffix(".json").tempfile().unwrap();
    for (pointer, wrong) in [
        ("/paths/~1auth/get/responses/403", Value::Null),
        ("/components/schemas/Scope/pattern", "^[0-9]+$".into()),
        ("/components/schemas/Keytest/properties/ip_valid/type", "string".into()),
        ("/components/responses/Unauthorized/content", json!({"text/html": {}})),
        ("/components/headers/NoStore/schema/const", "public".into()),
        (
            "/paths/~1live/get/responses/200/content/application~1json/schema",
            json!({"type": "array"}),
        ),
    ] {
        let mut description = right.clone();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        let parent = description.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        let replaced = if wrong.is_null() {
            parent.remove(name)
        } else {
            parent.insert(name.replace("~1", "/"), wrong)
        };
        assert!(replaced.is_some(), "{pointer} is not in it");
        std::fs::write(file.path(), description.to_string()).unwrap();
        let output =
            schemathesis(&shim, file.path().to_str().unwrap(), &key, &["--max-failures", "1"]);
        assert_eq!(output.code, Some(1), "{pointer}: {}{}", output.stdout, output.stderr);
    }
}

/// The client that openapi-python-client makes of it: each operation is a method, by its own name,
/// that gets the answer.
#[test]
fn a_generated_client_gets_the_answers() {
    let mut database = Database::new();
    let key = database.key("'{\"event\":true}'::jsonb");
    let shim = Shim::start_for_auth(&mut database, &[]);
    let directory = tempfile::tempdir().unwrap();
    let python = from_test_script("APIKEY_PYTHON_OPENAPI");
    std::fs::write(directory.path().join("config.yml"), "post_hooks: []").unwrap();
    let url = shim.url("/openapi.json");
    let generate = ["-m", "openapi_python_client", "generate", "--url", &url, "--meta", "none"];
    let generated = run(program(&python, &generate)
        .args(["--output-path", "generated", "--config", "config.yml", "--fail-on-warning"])
        .current_dir(directory.path()));
    assert_eq!(generated.code, Some(0), "{}{}", generated.stdout, generated.stderr);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/http/clients/generated_client.py");
    let mut client = program(&python, &[script, &shim.url(""), &key]);
    let said = run(client.env("PYTHONPATH", directory.path())).success();
    let said: Value = serde_json::from_str(&said).unwrap();
    let answer = json!({"auth": {"event": true}, "ip_request": "127.0.0.1", "ip_valid": true});
    let refusal = json!({"type": "about:blank", "title": "Unauthorized", "status": 401,
        "detail": "The request carries no valid API key."});
    let status = |status: u16| json!({"status": status, "parsed": null});
    let expected = json!({
        "test_key": {"status": 200, "parsed": answer},
        "test_key_under_admin": {"status": 200, "parsed": answer},
        "test_key with another": {"status": 401, "parsed": refusal},
        "test_key_head": status(200),
        "test_key_under_admin_head": status(200),
        "authorize": status(200),
        "authorize for event": status(200),
        "authorize_head": status(200),
        "is_live": {"status": 200, "parsed": {"status": "live"}},
        "is_live_head": status(200),
        "is_ready": {"status": 200, "parsed": {"status": "ready"}},
        "is_ready_head": status(200),
        "describe": {"status": 200, "parsed": said["describe"]["parsed"]},
        "describe_head": status(200),
    });
    assert_eq!(said, expected);
    assert_eq!(said["describe"]["parsed"]["info"]["title"], "apikey");
}
