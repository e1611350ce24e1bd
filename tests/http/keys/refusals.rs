//! Every refusal is the same, byte for byte: it must not help anybody guess.

use apikey_tests::{Answer, Database, PUBLISHED_KEY, Shim, one};

#[test]
fn all_refusals_are_identical() {
    let mut database = Database::new();
    let key = database.key("'event'");
    let revoked = database.key("'event'");
    let expired = database.key("'event', expires_at => clock_timestamp() + interval '1 hour'");
    let disabled = database.key("'event'");
    let mut client = database.superuser();
    one(&mut client, &format!("SELECT apikey_revoke('{revoked}')"));
    let update = |column: &str, key: &str| {
        format!("UPDATE apikey.key SET {column} = created_at WHERE prefix = '{}'", &key[..8])
    };
    client.batch_execute(&update("expires_at", &expired)).unwrap();
    client.batch_execute(&update("disabled_at", &disabled)).unwrap();
    let shim = Shim::start(&mut database, &["--realm", "the box office"]);

    let last = if key.ends_with('x') { "y" } else { "x" };
    let changed = format!("{}{last}", &key[..40]);
    let mut headers: Vec<Vec<String>> = [
        &format!("Api-Key:{key}"),
        &format!("Api-Key  {key}"),
        &format!("Api-Key\t{key}"),
        &format!("Api-Key {}", &key[..8]),
        &format!("Api-Key {}", &key[..9]),
        &format!("Api-Key {}", &key[9..]),
        &format!("Api-Key {}", key.to_uppercase()),
        &format!("Api-Key {}", key.to_lowercase()),
        &format!("Api-Key {changed}"),
        &format!("Api-Key {}", &key[..40]),
        &format!("Api-Key {key}x"),
        &format!("Api-Key {key} {key}"),
        &format!("Api-Key \"{key}\""),
        &format!("Api-Key {PUBLISHED_KEY}"),
        &format!("Api-Key {}", key.replace(&key[..8], "Zzzzzzzz")),
        &format!("Api-Key {revoked}"),
        &format!("Api-Key {expired}"),
        &format!("Api-Key {disabled}"),
        &format!("Token {key}"),
        &format!("Basic {key}"),
        &key.clone(),
        "Api-Key",
        "Api-Key ",
        "",
        "Api-Key é",
        &format!("Api-Key {}", "k".repeat(4000)),
    ]
    .iter()
    .map(|value| vec![format!("Authorization: {value}")])
    .collect();
    headers.push(vec![]);
    headers.push(vec![format!("X-Api-Key: {changed}")]);
    headers.push(vec![format!("X-Api-Key: {key}"), format!("X-Api-Key: {key}")]);
    headers.push(vec![
        format!("Authorization: Api-Key {key}"),
        format!("Authorization: Api-Key {key}"),
    ]);
    headers.push(vec!["Authorization: Basic YTpi".to_owned(), format!("X-Api-Key: {key}")]);
    headers.push(vec![format!("Cookie: api_key={key}")]);

    let refusal = shim.get("/api/user/keytest/", &[]);
    refusal.assert_problem(401);
    assert_eq!(refusal.header("www-authenticate"), Some(r#"Api-Key realm="the box office""#));
    for lines in &headers {
        let lines: Vec<_> = lines.iter().map(String::as_str).collect();
        assert_eq!(shim.get("/api/user/keytest/", &lines), refusal, "{lines:?}");
    }
    assert_eq!(shim.get(&format!("/api/user/keytest/?api_key={key}&key={key}"), &[]), refusal);

    let valid: Answer = shim.ask(&key);
    assert_eq!(valid.status(), 200, "the key itself is good: {}", valid.head);
}
