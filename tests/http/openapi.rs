//! The description at `/openapi.json`, held against the running shim by schemathesis.

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
