//! Every row that the constraints take is taken through every function and view, a dump and an
//! export.
//!
//! The rows are random (`KEYS_SEED` chooses them); so many of them (`KEYS`).

use crate::install::dump::Dump;
use apikey_tests::{AnyKey, AnyKeys, Cluster, Database, one, refused};
use postgres::Client;
use std::fs;

fn some_keys(client: &mut Client) -> Vec<AnyKey> {
    let count = std::env::var("KEYS").map_or(60, |count| count.parse().unwrap());
    let mut random = AnyKeys::new();
    (0..count)
        .map(|_| {
            let key = random.draw();
            client
                .batch_execute(&key.insert)
                .unwrap_or_else(|error| panic!("{}: {error:?}", key.insert));
            key
        })
        .collect()
}

/// What is not in the key itself.
const IS_VALID: &str = "(revoked_at IS NULL AND disabled_at IS NULL AND (expires_at > clock_timestamp()) IS NOT FALSE)";

/// An IPv4-mapped network, of 96 bits or more, is that of the IPv4 addresses.
const MATCHES: &str = "(allowed_ips IS NULL OR EXISTS (SELECT FROM unnest(allowed_ips) AS n WHERE CASE
    WHEN family(IP) = 4 AND n <<= '::ffff:0.0.0.0/96' THEN n >>= ('::ffff:' || host(IP))::inet ELSE n >>= IP END))";

/// Asks for something about the key's row, in which KEY and IP stand for the key and an address;
/// all have to say yes.
#[track_caller]
fn assert_holds(client: &mut Client, key: &AnyKey, condition: &str) {
    for ip in [
        "NULL::inet",
        "'192.0.2.1'::inet",
        "'2001:db8::1'::inet",
        // An IPv4-mapped address is the IPv4 address, which the rule below does not know.
        "(SELECT host(n)::inet FROM unnest(allowed_ips) AS n WHERE NOT host(n)::inet <<= '::ffff:0.0.0.0/96' LIMIT 1)",
    ] {
        // The key last: it is random, and may have these words in it.
        let condition = condition.replace("IP", ip).replace("KEY", &format!("'{}'", key.key));
        let question = format!(
            "SELECT ({condition}) IS TRUE FROM apikey.key WHERE prefix = '{}'",
            &key.key[..8]
        );
        let answer = one(client, &question).unwrap();
        assert_eq!(answer, "t", "{question}\n{}", key.insert);
    }
}

#[test]
fn every_legal_row_is_checked_and_managed() {
    let database = Database::new();
    let mut client = database.superuser();
    let keys = some_keys(&mut client);
    for key in &keys {
        let decision = "apikey_authorize(KEY, IP, SCOPE, tenant)";
        let scope = "(CASE jsonb_typeof(auth) WHEN 'string' THEN auth #>> '{}' WHEN 'array' THEN auth ->> -1
                      ELSE (SELECT max(m.key) FROM jsonb_each(auth) AS m WHERE m.value = 'true') END)";
        for condition in [
            format!("(apikey_check(KEY, IP, tenant) IS NOT NULL) = {IS_VALID}"),
            format!(
                "coalesce((apikey_check(KEY, IP, tenant) -> 'auth')::jsonb = auth, NOT {IS_VALID})"
            ),
            format!(
                "coalesce((apikey_check(KEY, IP, tenant) ->> 'ip_valid')::boolean = {MATCHES}, NOT {IS_VALID})"
            ),
            "apikey_check(KEY, IP, tenant || 'x') IS NULL".to_owned(),
            format!("({decision}).allowed = ({IS_VALID} AND {MATCHES})").replace("SCOPE", scope),
            format!("({decision}).reason <> 'ok'").replace("SCOPE", "'no such scope'"),
            format!("({decision}).metadata = metadata OR NOT {IS_VALID}").replace("SCOPE", "NULL"),
            format!("(apikey_explain(KEY, IP, tenant) = 'accepted') = ({IS_VALID} AND {MATCHES})"),
            "apikey_explain(KEY, IP, tenant || 'x') LIKE 'refused: %'".to_owned(),
        ] {
            assert_holds(&mut client, key, &condition);
        }
        let login = format!(
            "BEGIN; CREATE TEMP TABLE login ON COMMIT DROP AS
             SELECT apikey_login('{}', host(allowed_ips[array_lower(allowed_ips, 1)])::inet, tenant) AS done
               FROM apikey.key WHERE prefix = '{}'",
            key.key,
            &key.key[..8]
        );
        client.batch_execute(&login).unwrap();
        let current = format!(
            "SELECT CASE WHEN done THEN (prefix, name, owner, auth, metadata, tenant) 
                              = (SELECT c.prefix, c.name, c.owner, c.auth, c.metadata, c.tenant FROM apikey_current() AS c)
                         ELSE apikey_current() IS NULL END
               FROM apikey.key, login WHERE prefix = '{}'",
            &key.key[..8]
        );
        assert_eq!(one(&mut client, &current).as_deref(), Some("t"), "{}", key.insert);
        client.batch_execute("SELECT apikey_granted('event'); COMMIT").unwrap();
    }
    for view in ["apikeys", "apikey_events", "apikey_stats"] {
        let whole = format!(
            "SELECT sum(length(row(v.*)::text) + length(to_jsonb(v)::text)) > 0 FROM {view} AS v"
        );
        assert_eq!(one(&mut client, &whole).as_deref(), Some("t"));
    }
    // The trail has the row as it was, but for its hash and what was NULL.
    let noted = "SELECT count(*) FROM apikey.key AS k JOIN apikey_events AS e USING (prefix)
        WHERE e.action = 'import' AND e.changed - 'verifier' <>
              (SELECT jsonb_object_agg(c.key, c.value) FROM jsonb_each(to_jsonb(k) - '{verifier,tag}'::text[]) AS c
                WHERE c.value <> 'null')";
    assert_eq!(one(&mut client, noted).as_deref(), Some("0"));

    for key in &keys {
        manage(&mut client, key);
    }
    assert_eq!(one(&mut client, "SELECT apikey_prune_events('30 days')").as_deref(), Some("0"));
    client.batch_execute("DELETE FROM apikey.key").unwrap();
}

/// Each function does what it says, or says why not.
fn manage(client: &mut Client, key: &AnyKey) {
    let (prefix, key, insert) = (&key.key[..8], &key.key, &key.insert);
    let state = format!(
        "SELECT concat_ws(' ', CASE WHEN {IS_VALID} AND replaced_by IS NULL THEN 'fit' END,
                          CASE WHEN revoked_at IS NOT NULL THEN 'revoked' END,
                          CASE WHEN disabled_at IS NOT NULL THEN 'disabled' END)
           FROM apikey.key WHERE prefix = '{prefix}'"
    );
    let state = one(client, &state).unwrap();
    for grace in ["1 day", "0"] {
        client.batch_execute("BEGIN").unwrap();
        let rotate = format!("SELECT apikey_rotate('{key}', '{grace}')");
        if state == "fit" {
            let fresh = one(client, &rotate).unwrap();
            let same = format!(
                "SELECT (old.name, old.owner, old.auth, old.allowed_ips, old.tenant, old.metadata)
                        IS NOT DISTINCT FROM (new.name, new.owner, new.auth, new.allowed_ips, new.tenant, new.metadata)
                        AND apikey_check('{fresh}', NULL, new.tenant) IS NOT NULL
                        AND (apikey_check('{key}', NULL, old.tenant) IS NULL) = ('{grace}' = '0')
                   FROM apikey.key AS old JOIN apikey.key AS new ON new.prefix = old.replaced_by
                  WHERE old.prefix = '{prefix}'"
            );
            assert_eq!(one(client, &same).as_deref(), Some("t"), "{insert}");
        } else {
            let refusal = refused(client.batch_execute(&rotate));
            assert_eq!(refusal.sqlstate(), "55000", "{insert}: {}", refusal.whole());
        }
        client.batch_execute("ROLLBACK").unwrap();
    }
    let is = |word: &str| state.contains(word);
    let changed = |yes: bool| Some(if yes { "t" } else { "f" });
    let mut call = |call: &str| one(client, &format!("SELECT {call}"));
    let disable = format!("apikey_disable('{key}')");
    assert_eq!(call(&disable).as_deref(), changed(!is("revoked") && !is("disabled")), "{insert}");
    if !is("revoked") {
        assert_eq!(call(&format!("apikey_enable('{key}')")).as_deref(), Some("t"), "{insert}");
    } else {
        let refusal = refused(client.batch_execute(&format!("SELECT apikey_enable('{key}')")));
        assert_eq!(refusal.sqlstate(), "55000", "{insert}");
    }
    let revoke = format!("SELECT apikey_revoke('{key}', repeat(E'\\u2028', 3000))");
    assert_eq!(one(client, &revoke).as_deref(), changed(!is("revoked")), "{insert}");
    assert_eq!(one(client, &format!("SELECT apikey_check('{key}', NULL)")), None);
}

const KEYS: &str = "SELECT md5(string_agg(k::text, E'\\n' ORDER BY prefix)) FROM apikey.key AS k";

/// As `pg_dump` has it, as text and as CSV, and over again by SQL.
#[test]
fn every_legal_row_is_dumped_exported_and_restored() {
    let from = Database::new();
    let mut client = from.superuser();
    some_keys(&mut client);
    let before = one(&mut client, KEYS);
    for dump in [Dump::plain(&from, &[]), Dump::custom(&from, &["--inserts"])] {
        let into = Database::without_extension(Cluster::shared());
        dump.restore(&into);
        assert_eq!(one(&mut into.superuser(), KEYS), before);
    }
    for format in ["text", "csv", "binary"] {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_str().unwrap();
        let copy =
            |direction: &str| format!("\\copy apikey.key {direction} '{path}' (FORMAT {format})");
        from.client_program("psql", &["-Xq", "-c", &copy("TO")]).success();
        let views = format!("\\copy (SELECT * FROM apikeys) TO '{path}.view' (FORMAT {format})");
        from.client_program("psql", &["-Xq", "-c", &views]).success();
        fs::remove_file(format!("{path}.view")).unwrap();
        let into = Database::new();
        into.client_program("psql", &["-Xq", "-v", "ON_ERROR_STOP=1", "-c", &copy("FROM")])
            .success();
        assert_eq!(one(&mut into.superuser(), KEYS), before, "{format}");
    }
    // Row by row, in place.
    let again = "CREATE TABLE aside AS TABLE apikey.key; DELETE FROM apikey.key; INSERT INTO apikey.key TABLE aside;
                 UPDATE apikey.key SET name = name, owner = owner, auth = auth, metadata = metadata";
    client.batch_execute(again).unwrap();
    assert_eq!(one(&mut client, KEYS), before);
}
