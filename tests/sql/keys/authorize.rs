//! `apikey_authorize` and `apikey_explain`: the decision, and for managers its reason.

use apikey_tests::{Database, PUBLISHED_KEY, one, wrong_secret};
use postgres::Client;

fn decision(client: &mut Client, arguments: &str) -> String {
    let columns = "allowed || ' ' || reason || coalesce(' ' || name, '')";
    one(client, &format!("SELECT {columns} FROM apikey_authorize({arguments})")).unwrap()
}

#[test]
fn the_decision_and_its_reason() {
    let database = Database::new();
    let mut client = database.superuser();
    let create = |client: &mut Client, arguments: &str| {
        one(client, &format!("SELECT apikey_create({arguments})")).unwrap()
    };
    let open = create(&mut client, "'open', '{\"event\":true,\"ticket\":false}'::jsonb");
    let bound = create(&mut client, "'bound', 'event', '10.0.0.1'");
    let gone = create(&mut client, "'gone', 'event'");
    one(&mut client, &format!("SELECT apikey_revoke('{gone}')"));
    for (arguments, expected) in [
        (format!("'{open}', NULL"), "true ok open"),
        (format!("'{open}', NULL, 'event'"), "true ok open"),
        (format!("'{open}', NULL, 'ticket'"), "false missing_scope open"),
        (format!("'{open}', NULL, 'even'"), "false missing_scope open"),
        (format!("'{open}', NULL, ''"), "false missing_scope open"),
        (format!("'{bound}', '10.0.0.1', 'event'"), "true ok bound"),
        (format!("'{bound}', '10.0.0.2', 'event'"), "false wrong_address bound"),
        (format!("'{bound}', NULL"), "false wrong_address bound"),
        (format!("'{gone}', NULL"), "false invalid_key"),
        (format!("'{PUBLISHED_KEY}', NULL"), "false invalid_key"),
        (format!("'{}', NULL", wrong_secret(&open)), "false invalid_key"),
        ("'', NULL".to_owned(), "false invalid_key"),
        ("NULL, NULL".to_owned(), "false invalid_key"),
    ] {
        assert_eq!(decision(&mut client, &arguments), expected, "{arguments}");
    }
}

#[test]
fn the_decision_says_who_the_caller_is() {
    let database = Database::new();
    let mut client = database.superuser();
    let key = one(
        &mut client,
        "SELECT apikey_create('till', '[\"event\"]'::jsonb, owner => 'ada', tenant => 'venue', metadata => '{\"till\": 3}')",
    )
    .unwrap();
    let row = one(
        &mut client,
        &format!("SELECT d::text FROM apikey_authorize('{key}', NULL, 'event', 'venue') AS d"),
    );
    let expected =
        format!(r#"(t,ok,{},till,ada,"[""event""]","{{""till"": 3}}",venue)"#, &key[..8]);
    assert_eq!(row.unwrap(), expected);
    let row =
        one(&mut client, &format!("SELECT d::text FROM apikey_authorize('{key}x', NULL) AS d"));
    assert_eq!(row.unwrap(), "(f,invalid_key,,,,,,)");
}

/// Each question about each key of `asked`, with the decision, and with what it is by a check, the
/// scope and the row.
const DECISIONS: &str = "
    WITH question AS (
        SELECT a.key, q.ip::inet, s.scope, t.tenant
          FROM asked AS a,
               (VALUES ('10.0.0.1'), ('::ffff:10.0.0.1/128'), ('192.0.2.1'), ('2001:db8::1'), (NULL)) AS q (ip),
               (VALUES (NULL), ('event'), ('ticket'), ('even'), ('')) AS s (scope),
               (VALUES (''), ('venue'), (NULL)) AS t (tenant)
    ), checked AS MATERIALIZED (
        SELECT q.*, apikey.check_key(q.key, q.ip, q.tenant) AS answer FROM question AS q
    ), expected AS (
        SELECT c.*, r.reason, (r.reason = 'ok', r.reason, k.prefix, k.name, k.owner, k.auth, k.metadata, k.tenant)::apikey_decision AS d
          FROM checked AS c
          LEFT JOIN apikey.key AS k ON k.prefix = split_part(c.key, '.', 1) AND c.answer IS NOT NULL
         CROSS JOIN LATERAL (SELECT CASE
                  WHEN c.answer IS NULL THEN 'invalid_key'
                  WHEN NOT (c.answer ->> 'ip_valid')::boolean THEN 'wrong_address'
                  WHEN c.scope IS NOT NULL AND NOT apikey.grants(k.auth, c.scope) THEN 'missing_scope'
                  ELSE 'ok'
              END) AS r (reason)
    )
    SELECT count(*) || ' questions, different: ' || count(*) FILTER (
               WHERE apikey_authorize(e.key, e.ip, e.scope, e.tenant) IS DISTINCT FROM e.d
                  OR apikey.authorize_key(e.key, e.ip, e.scope, e.tenant) IS DISTINCT FROM e.d
                  OR apikey.authorize_key_at_once(e.key, e.ip, e.scope, e.tenant) IS DISTINCT FROM e.d)
           || ', ' || string_agg(DISTINCT e.reason, ' ' ORDER BY e.reason)
      FROM expected AS e";

#[test]
fn a_decision_is_a_check_and_a_scope_and_the_row() {
    let database = Database::new();
    let mut client = database.superuser();
    client.batch_execute("CREATE TABLE asked (key text)").unwrap();
    let many = "(SELECT jsonb_object_agg(md5(n::text), n % 2 = 0) || '{\"event\":true}' FROM generate_series(1, 63) AS n)";
    let long = "metadata => jsonb_build_object('long', (SELECT string_agg(md5(n::text), '') FROM generate_series(1, 250) AS n))";
    let mut keys = vec![PUBLISHED_KEY.to_owned(), "no key".to_owned(), String::new()];
    for storage in ["EXTENDED", "EXTERNAL"] {
        let alter = format!(
            "ALTER TABLE apikey.key ALTER auth SET STORAGE {storage}, ALTER metadata SET STORAGE {storage}"
        );
        client.batch_execute(&alter).unwrap();
        for arguments in [
            "'event'",
            "'ticket', '10.0.0.0/8', owner => 'ada', metadata => '{\"till\": 3}'",
            "'[\"event\",\"ticket\"]'::jsonb, ips => '{2001:db8::/32,10.0.0.1}', tenant => 'venue'",
            "'{\"event\":true,\"ticket\":false}'::jsonb, tenant => 'venue'",
            &format!("{many}, {long}"),
            "'event', expires_at => clock_timestamp() + interval '1 hour'",
        ] {
            keys.push(database.key(arguments));
        }
    }
    for ends in ["revoked_at", "expires_at", "disabled_at"] {
        let key = database.key("'event'");
        let update = format!("UPDATE apikey.key SET {ends} = created_at WHERE prefix = $1");
        client.execute(&update, &[&&key[..8]]).unwrap();
        keys.push(key);
    }
    for key in &keys {
        client.execute("INSERT INTO asked VALUES ($1)", &[key]).unwrap();
        if key.len() > 8 {
            client.execute("INSERT INTO asked VALUES ($1)", &[&wrong_secret(key)]).unwrap();
        }
    }
    client.batch_execute("INSERT INTO asked VALUES (NULL)").unwrap();
    let all = one(&mut client, "SELECT count(*) * 75 FROM asked").unwrap();
    let expected =
        format!("{all} questions, different: 0, invalid_key missing_scope ok wrong_address");
    assert_eq!(one(&mut client, DECISIONS), Some(expected));
}

/// By whoever may execute it, and may read nothing.
#[test]
fn a_decision_is_one_look_up_and_reads_only() {
    let mut database = Database::new();
    let authorizer = database.authorizer();
    let key = database.key("'event'");
    let mut client = database.connect(&authorizer);
    let scans = "SELECT coalesce(sum(pg_stat_get_xact_numscans(i)), 0)::text
                   FROM unnest(pg_indexes_of_key()) AS i";
    database
        .superuser()
        .batch_execute(
            "CREATE FUNCTION pg_indexes_of_key() RETURNS oid[] LANGUAGE sql SECURITY DEFINER AS
                 'SELECT array_agg(indexrelid) FROM pg_index WHERE indrelid = ''apikey.key''::regclass'",
        )
        .unwrap();
    client.batch_execute("BEGIN READ ONLY").unwrap();
    let before: u32 = one(&mut client, scans).unwrap().parse().unwrap();
    for _ in 0..10 {
        assert_eq!(
            decision(&mut client, &format!("'{key}', NULL, 'event'")).split(' ').nth(1),
            Some("ok")
        );
    }
    let after: u32 = one(&mut client, scans).unwrap().parse().unwrap();
    assert_eq!(after - before, 10);
    assert_eq!(one(&mut client, "SELECT pg_current_xact_id_if_assigned()"), None);
}

#[test]
fn a_key_of_one_tenant_does_not_pass_for_anothers() {
    let database = Database::new();
    let mut client = database.superuser();
    let venue = database.key("'event', tenant => 'venue'");
    let none = database.key("'event'");
    for (key, tenant, valid) in [
        (&venue, "'venue'", true),
        (&venue, "'other'", false),
        (&venue, "'VENUE'", false),
        (&venue, "''", false),
        (&venue, "NULL", false),
        (&none, "''", true),
        (&none, "NULL", true),
        (&none, "'venue'", false),
    ] {
        let check = one(&mut client, &format!("SELECT apikey_check('{key}', NULL, {tenant})"));
        assert_eq!(check.is_some(), valid, "{tenant}");
        let reason = if valid { "true ok" } else { "false invalid_key" };
        assert!(
            decision(&mut client, &format!("'{key}', NULL, NULL, {tenant}")).starts_with(reason),
            "{tenant}"
        );
        let login = one(&mut client, &format!("SELECT apikey_login('{key}', NULL, {tenant})"));
        assert_eq!(login.as_deref(), Some(if valid { "t" } else { "f" }), "{tenant}");
    }
    assert_eq!(one(&mut client, &format!("SELECT apikey_check('{venue}', NULL)")), None);
    assert!(one(&mut client, &format!("SELECT apikey_check('{none}', NULL)")).is_some());
}

#[test]
fn a_manager_is_told_exactly_why() {
    let database = Database::new();
    let mut client = database.superuser();
    let explain = |client: &mut Client, arguments: &str| {
        one(client, &format!("SELECT apikey_explain({arguments})")).unwrap()
    };
    let key = database.key("'event', '10.0.0.1'");
    let prefix = &key[..8];
    let wrong = wrong_secret(&key);
    for (arguments, expected) in [
        (format!("'{key}', '10.0.0.1'"), "accepted".to_owned()),
        (format!("'{key} ', '10.0.0.1'"), "refused: malformed".to_owned()),
        ("NULL, NULL".to_owned(), "refused: malformed".to_owned()),
        (
            format!("'{PUBLISHED_KEY}', NULL"),
            "refused: unknown prefix. There is no key Map0K71T".to_owned(),
        ),
        (
            format!("'{wrong}', '10.0.0.1'"),
            format!("refused: wrong secret. There is a key {prefix}"),
        ),
        (format!("'{key}', '10.0.0.1', 'venue'"), "refused: wrong tenant".to_owned()),
        (
            format!("'{key}', '10.0.0.2'"),
            "refused: wrong address. 10.0.0.2 is in none of 10.0.0.1".to_owned(),
        ),
        (
            format!("'{key}', NULL"),
            "refused: wrong address. An unknown address is in none of".to_owned(),
        ),
    ] {
        let explained = explain(&mut client, &arguments);
        assert!(explained.starts_with(&expected), "{arguments}: {explained}");
        assert!(!explained.contains(&key[9..]), "{explained}");
    }
    for (change, expected) in [
        ("disabled_at = now()", "refused: disabled at "),
        ("expires_at = created_at", "refused: expired at "),
        ("revoked_at = now(), revoke_reason = 'lost'", "refused: revoked at "),
    ] {
        client.batch_execute(&format!("UPDATE apikey.key SET {change}")).unwrap();
        let explained = explain(&mut client, &format!("'{key}', '10.0.0.1'"));
        assert!(explained.starts_with(expected), "{explained}");
    }
    assert!(explain(&mut client, &format!("'{key}', NULL")).ends_with("by postgres: lost"));
}
