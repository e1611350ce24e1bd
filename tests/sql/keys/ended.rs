//! A key that has ended, in one way or in several, is called the same wherever that is said.

use apikey_tests::{Cluster, Database, one, refused, stat, wrong_secret};

/// An end that has come, those that will, and none.
const EXPIRIES: [(&str, &str); 5] = [
    ("NULL", "active"),
    ("'infinity'", "active"),
    ("clock_timestamp() + interval '1 hour'", "expiring"),
    ("clock_timestamp() - interval '1 microsecond'", "expired"),
    ("created_at", "expired"),
];

/// The columns of a row, and what is said of it: the first of revoked, expired and disabled, or
/// what a live key is called.
fn rows() -> Vec<(String, &'static str)> {
    let mut rows = Vec::new();
    for (expires_at, by_expiry) in EXPIRIES {
        for (revoked_at, disabled_at, replaced_by) in (0..8).map(|bits| {
            let given = |bit: i32, value| if bits & bit != 0 { value } else { "NULL" };
            (given(1, "created_at"), given(2, "created_at"), given(4, "'Another1'"))
        }) {
            let status = match (revoked_at, by_expiry, disabled_at, replaced_by) {
                ("created_at", ..) => "revoked",
                (_, "expired", ..) => "expired",
                (_, _, "created_at", _) => "disabled",
                (.., "'Another1'") => "rotating",
                _ => by_expiry,
            };
            let columns = format!(
                "revoked_at = {revoked_at}, expires_at = {expires_at}, disabled_at = {disabled_at}, replaced_by = {replaced_by}"
            );
            rows.push((columns, status));
        }
    }
    rows
}

#[test]
fn one_order_holds_everywhere() {
    let database = Database::in_cluster(Cluster::private(&["shared_preload_libraries = 'apikey'"]));
    let mut client = database.superuser();
    let rows = rows();
    assert_eq!(rows.len(), 40);
    for (columns, status) in rows {
        let key = database.key("'event'");
        let prefix = &key[..8];
        let is_live = !["revoked", "expired", "disabled"].contains(&status);

        client
            .batch_execute(&format!(
                "BEGIN; SELECT apikey_login('{key}', NULL);
                 UPDATE apikey.key SET {columns} WHERE prefix = '{prefix}'"
            ))
            .unwrap();
        let current = one(&mut client, "SELECT (apikey_current()).prefix");
        client.batch_execute("COMMIT").unwrap();
        assert_eq!(current.as_deref(), is_live.then_some(prefix), "{columns}");

        let mut ask = |question: &str| one(&mut client, &format!("SELECT {question}"));
        let shown = ask(&format!("status FROM apikeys WHERE prefix = '{prefix}'"));
        assert_eq!(shown.as_deref(), Some(status), "{columns}");

        let explained = ask(&format!("apikey_explain('{key}', NULL)")).unwrap();
        let expected =
            if is_live { "accepted".to_owned() } else { format!("refused: {status} at ") };
        assert!(explained.starts_with(&expected), "{columns}: {explained}");

        let reason = ask(&format!("reason FROM apikey_authorize('{key}', NULL)"));
        assert_eq!(
            reason.as_deref(),
            Some(if is_live { "ok" } else { "invalid_key" }),
            "{columns}"
        );

        // Whatever its secret, a key that has ended is counted as such.
        let keys = if is_live { vec![key.clone()] } else { vec![key.clone(), wrong_secret(&key)] };
        let counter = if is_live { "accepted" } else { status };
        let before = stat(&mut client, counter);
        for key in &keys {
            let check = one(&mut client, &format!("SELECT apikey_check('{key}', NULL)"));
            assert_eq!(check.is_some(), is_live, "{columns}");
        }
        assert_eq!(stat(&mut client, counter), before + keys.len() as u64, "{columns}");

        let rotated = client.batch_execute(&format!("SELECT apikey_rotate('{key}')"));
        if ["active", "expiring"].contains(&status) {
            rotated.unwrap();
        } else {
            let unfit = if columns.contains("Another1") { "rotated already" } else { status };
            let refusal = refused(rotated);
            assert_eq!(
                refusal.message(),
                format!("API key {prefix} cannot be rotated: it is {unfit}")
            );
        }
    }
}
