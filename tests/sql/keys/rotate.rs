//! `apikey_rotate`, `apikey_disable` and `apikey_enable`.

use apikey_tests::{Database, one, refused};
use postgres::Client;

fn valid(client: &mut Client, key: &str) -> bool {
    one(client, &format!("SELECT apikey_check('{key}', '10.0.0.1')")).is_some()
}

fn rotate(client: &mut Client, key: &str, arguments: &str) -> String {
    one(client, &format!("SELECT apikey_rotate('{key}'{arguments})")).unwrap()
}

const IDENTITY: &str =
    "SELECT (name, owner, auth, allowed_ips, metadata)::text FROM apikeys WHERE prefix = ";

#[test]
fn the_new_key_has_the_identity_and_the_old_one_its_grace() {
    let database = Database::new();
    let mut client = database.superuser();
    let old = database.key(
        "'[\"event\"]'::jsonb, ips => '{10.0.0.0/8}', owner => 'ada', metadata => '{\"till\": 3}'",
    );
    let new = rotate(&mut client, &old, ", '1 hour'");
    assert!(valid(&mut client, &old) && valid(&mut client, &new));
    let identity =
        |client: &mut Client, key: &str| one(client, &format!("{IDENTITY}'{}'", &key[..8]));
    assert_eq!(identity(&mut client, &new), identity(&mut client, &old));
    let lineage = "SELECT string_agg(status || ' ' || coalesce(replaced_by, '-'), ', ' ORDER BY created_at) FROM apikeys";
    assert_eq!(one(&mut client, lineage).unwrap(), format!("rotating {}, active -", &new[..8]));
    let grace = "SELECT expires_at BETWEEN now() AND now() + interval '1 hour' FROM apikeys WHERE status = 'rotating'";
    assert_eq!(one(&mut client, grace).as_deref(), Some("t"));
    client
        .batch_execute(
            "UPDATE apikey.key SET expires_at = created_at WHERE replaced_by IS NOT NULL",
        )
        .unwrap();
    assert!(!valid(&mut client, &old) && valid(&mut client, &new));
}

#[test]
fn without_grace_the_old_key_ends_at_once_and_for_good() {
    let database = Database::new();
    let mut client = database.superuser();
    let old = database.key("'event'");
    let new = rotate(&mut client, &old, "");
    assert!(!valid(&mut client, &old) && valid(&mut client, &new));
    let row = "SELECT (status, revoke_reason, revoked_by, replaced_by)::text FROM apikeys WHERE revoked_at IS NOT NULL";
    assert_eq!(one(&mut client, row).unwrap(), format!("(revoked,rotated,postgres,{})", &new[..8]));
}

#[test]
fn a_grace_never_prolongs_and_a_life_is_as_long_as_before() {
    let database = Database::new();
    let mut client = database.superuser();
    let old = database.key("'event', expires_at => now() + interval '10 days'");
    client
        .batch_execute("UPDATE apikey.key SET created_at = created_at - interval '20 days'")
        .unwrap();
    rotate(&mut client, &old, ", '1 year'");
    let days = "SELECT string_agg(round(extract(epoch FROM expires_at - now()) / 86400)::text, ' ' ORDER BY created_at) FROM apikeys";
    assert_eq!(one(&mut client, days).as_deref(), Some("10 30"));
}

#[test]
fn only_a_valid_key_is_rotated() {
    let database = Database::new();
    let mut client = database.superuser();
    for (change, unfit) in [
        ("revoked_at = now()", "revoked"),
        ("expires_at = created_at", "expired"),
        ("disabled_at = created_at", "disabled"),
        ("replaced_by = 'Another1'", "rotated already"),
    ] {
        let key = database.key("'event'");
        let prefix = &key[..8];
        client
            .batch_execute(&format!("UPDATE apikey.key SET {change} WHERE prefix = '{prefix}'"))
            .unwrap();
        let refusal = refused(client.batch_execute(&format!("SELECT apikey_rotate('{key}')")));
        assert_eq!(refusal.sqlstate(), "55000");
        assert_eq!(refusal.message(), format!("API key {prefix} cannot be rotated: it is {unfit}"));
        assert!(!refusal.hint().is_empty() && !refusal.whole().contains(&key[9..]));
    }
    let key = database.key("'event'");
    for grace in ["'-1 second'", "NULL"] {
        let refusal =
            refused(client.batch_execute(&format!("SELECT apikey_rotate('{key}', {grace})")));
        assert_eq!(refusal.sqlstate(), "22023");
    }
    assert_eq!(
        refused(client.batch_execute("SELECT apikey_rotate('Nobody01')")).sqlstate(),
        "42704"
    );
    assert!(valid(&mut client, &key));
}

/// What a clock that was wrong, or an import, may have left; and any grace.
#[test]
fn any_times_are_rotated() {
    let database = Database::new();
    let mut client = database.superuser();
    let ends = "SELECT string_agg(coalesce(expires_at::text, 'never'), ' ' ORDER BY replaced_by) FROM apikeys WHERE name = ";
    for (number, (created_at, expires_at, successor)) in [
        ("-infinity", "2100-01-01", "2100-01-01 00:00:00+00"),
        ("-infinity", "infinity", "infinity"),
        ("4714-12-31 BC", "294276-12-31", "294276-12-31 00:00:00+00"),
        ("infinity", "infinity", "infinity"),
        ("294276-12-31", "294276-12-31", "294276-12-31 00:00:00+00"),
    ]
    .into_iter()
    .enumerate()
    {
        for grace in ["0", "1 day", "170000000 years", "1 month -28 days -23 hours"] {
            let name = format!("{number} {grace}");
            let create = format!("SELECT apikey_create('{name}', 'event')");
            let key = one(&mut client, &create).unwrap();
            let update = format!(
                "SET TIME ZONE 'UTC'; UPDATE apikey.key SET created_at = '{created_at}', expires_at = '{expires_at}' WHERE prefix = '{}'",
                &key[..8]
            );
            client.batch_execute(&update).unwrap();
            let fresh = rotate(&mut client, &key, &format!(", '{grace}'"));
            assert!(valid(&mut client, &fresh), "{name}");
            if grace == "0" {
                assert!(!valid(&mut client, &key), "{name}");
            } else if !grace.contains("-28") {
                assert!(valid(&mut client, &key), "{name}");
            }
            let both = one(&mut client, &format!("{ends}'{name}'")).unwrap();
            assert!(both.ends_with(successor), "{name}: {both}");
        }
    }
}

/// The second waits for the first and is told that it came late.
#[test]
fn two_rotations_at_once_have_one_winner() {
    let database = Database::new();
    let (mut first, mut second) = (database.superuser(), database.superuser());
    let key = database.key("'event'");
    let mut transaction = first.transaction().unwrap();
    transaction.batch_execute(&format!("SELECT apikey_rotate('{key}', '1 day')")).unwrap();
    let statement = format!("SELECT apikey_rotate('{key}', '1 day')");
    let late = std::thread::spawn(move || refused(second.batch_execute(&statement)));
    database.wait_for_blocked(1);
    transaction.commit().unwrap();
    let refusal = late.join().unwrap();
    assert_eq!(refusal.sqlstate(), "55000");
    assert!(refusal.message().ends_with("rotated already"), "{}", refusal.message());
    assert_eq!(
        one(&mut database.superuser(), "SELECT count(*) FROM apikeys").as_deref(),
        Some("2")
    );
}

#[test]
fn disabling_is_reversible() {
    let database = Database::new();
    let mut client = database.superuser();
    let key = database.key("'event'");
    for (function, changed, is_valid) in [
        ("apikey_disable", "t", false),
        ("apikey_disable", "f", false),
        ("apikey_enable", "t", true),
        ("apikey_enable", "f", true),
    ] {
        assert_eq!(
            one(&mut client, &format!("SELECT {function}('{key}')")).as_deref(),
            Some(changed)
        );
        assert_eq!(valid(&mut client, &key), is_valid);
    }
    let update = "UPDATE apikey.key SET disabled_at = created_at, expires_at = created_at";
    client.batch_execute(update).unwrap();
    let enable = format!("SELECT apikey_enable('{key}')");
    let enabled = database.client_program("psql", &["-X", "-c", &enable]);
    assert_eq!(enabled.code, Some(0), "{}", enabled.stderr);
    let warning = format!(
        "WARNING:  API key {} is enabled, and goes on being refused: it expired at ",
        &key[..8]
    );
    assert!(
        enabled.stderr.starts_with(&warning) && enabled.stderr.contains("HINT:"),
        "{}",
        enabled.stderr
    );
    for function in ["apikey_disable", "apikey_enable"] {
        assert_eq!(
            refused(client.batch_execute(&format!("SELECT {function}('Nobody01')"))).sqlstate(),
            "42704"
        );
    }
}

/// Nothing makes a revoked key valid again, and nothing says that it did.
#[test]
fn a_revoked_key_is_neither_enabled_nor_disabled() {
    let database = Database::new();
    let mut client = database.superuser();
    for disabled_at in ["NULL", "created_at"] {
        let key = database.key("'event'");
        let prefix = &key[..8];
        let end = format!(
            "UPDATE apikey.key SET revoked_at = now(), disabled_at = {disabled_at} WHERE prefix = '{prefix}'"
        );
        client.batch_execute(&end).unwrap();
        let refusal = refused(client.batch_execute(&format!("SELECT apikey_enable('{key}')")));
        assert_eq!(refusal.sqlstate(), "55000");
        assert_eq!(refusal.message(), format!("API key {prefix} cannot be enabled: it is revoked"));
        assert!(refusal.hint().contains("apikey_create"));
        // Who ends many keys at once is not held up by those that have ended.
        let disable = format!("SELECT apikey_disable('{key}')");
        assert_eq!(one(&mut client, &disable).as_deref(), Some("f"));
        let trail = format!(
            "SELECT string_agg(action, ' ' ORDER BY at) FROM apikey_events WHERE prefix = '{prefix}'"
        );
        assert_eq!(one(&mut client, &trail).as_deref(), Some("create revoke"));
    }
}
