//! What an application's role could try to act for a key that it does not have.

use crate::keys::shop::{ADAS, BOBS, NOBODYS, SEEN, Shop, login, seen, seen_outside};
use apikey_tests::{one, refused};

/// Every way that we could think of for the application's role, which knows the prefix and not the
/// key. What matters is not whether it is an error, but that it makes nobody somebody.
#[test]
fn nobody_becomes_somebody_without_a_key() {
    let shop = Shop::new();
    let mut client = shop.connect();
    // A manager's right to the schema is no right to the functions in it.
    let grant = format!("GRANT USAGE ON SCHEMA apikey TO {}", shop.app.role);
    shop.database.superuser().batch_execute(&grant).unwrap();
    for attempt in [
        // Settings
        "SELECT set_config('apikey.identity', 'PREFIX', false)",
        "SELECT set_config('apikey.current', 'PREFIX', false)",
        "SELECT set_config('apikey.prefix', 'PREFIX', false)",
        "SELECT set_config('request.headers', '{\"x-api-key\": \"PREFIX\"}', false)",
        "SET apikey.identity = 'PREFIX'",
        "SET SESSION \"apikey.set_identity\" = 'PREFIX'",
        "SET session_replication_role = replica",
        "SET row_security = off",
        // The internal functions, under their own and other names
        "SELECT apikey.set_identity('PREFIX')",
        "SELECT apikey.identity()",
        "DO $$ BEGIN PERFORM apikey.set_identity('PREFIX'); END $$",
        "CREATE FUNCTION own.be() RETURNS void LANGUAGE sql SECURITY DEFINER
             AS $$SELECT apikey.set_identity('PREFIX')$$; SELECT own.be()",
        "CREATE FUNCTION own.be(text) RETURNS void LANGUAGE c AS '$libdir/apikey', 'set_identity_wrapper'",
        "CREATE FUNCTION pg_temp.be(text) RETURNS void LANGUAGE c AS 'MODULE_PATHNAME', 'set_identity_wrapper'",
        "CREATE FUNCTION own.be(text) RETURNS void LANGUAGE internal AS 'set_identity_wrapper'",
        "LOAD 'apikey'",
        "LOAD '$libdir/plugins/apikey'",
        "CREATE CAST (text AS apikey_identity) WITH FUNCTION apikey.set_identity(text)",
        "CREATE OPERATOR own.! (rightarg = text, function = apikey.set_identity); SELECT OPERATOR(own.!) 'PREFIX'::text",
        "GRANT EXECUTE ON FUNCTION apikey.set_identity(text) TO PUBLIC; SELECT apikey.set_identity('PREFIX')",
        // The public functions, changed or hidden
        "CREATE OR REPLACE FUNCTION apikey_current() RETURNS apikey_identity LANGUAGE sql
             AS $$SELECT ROW('PREFIX', 'n', 'ada', '1', '{}', '')::apikey_identity$$",
        "ALTER FUNCTION apikey_current() RENAME TO was_current",
        "ALTER FUNCTION apikey_current() SET search_path = own",
        "ALTER FUNCTION apikey_current() SECURITY INVOKER",
        "DROP FUNCTION apikey_current() CASCADE",
        "DROP EXTENSION apikey CASCADE",
        "CREATE FUNCTION apikey.identity() RETURNS text LANGUAGE sql AS $$SELECT 'PREFIX'$$",
        "CREATE FUNCTION own.identity() RETURNS text LANGUAGE sql AS $$SELECT 'PREFIX'$$;
         CREATE FUNCTION own.grants(jsonb, text) RETURNS boolean LANGUAGE sql AS 'SELECT true';
         SET search_path = own, pg_temp, pg_catalog, public",
        "CREATE FUNCTION own.yes(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT true';
         CREATE OPERATOR own.= (leftarg = text, rightarg = text, function = own.yes);
         CREATE TEMP TABLE key AS SELECT 'PREFIX' AS prefix, 'ada' AS owner;
         SET search_path = own, pg_temp, pg_catalog, public",
        "CREATE DOMAIN own.text AS varchar; CREATE TYPE own.apikey_identity AS (owner varchar);
         SET search_path = own, pg_catalog, public",
        // A login with what is not the key
        "SELECT apikey_login('PREFIX', NULL)",
        "SELECT apikey_login('PREFIX.' || repeat('A', 32), NULL)",
        "SELECT apikey_login(k, NULL) FROM (VALUES ('PREFIX.%'), ('PREFIX.'''' OR true --')) AS t (k)",
        // Another role
        "SET ROLE postgres",
        "SET SESSION AUTHORIZATION postgres",
        "SELECT set_config('session_authorization', 'postgres', false)",
        "SELECT set_config('role', 'postgres', false)",
        "RESET SESSION AUTHORIZATION",
        // The tables and their policies
        "ALTER TABLE sale DISABLE ROW LEVEL SECURITY",
        "DROP POLICY own_rows ON sale",
        "CREATE POLICY mine ON sale USING (true)",
        "ALTER TABLE sale OWNER TO CURRENT_USER",
        "INSERT INTO apikey.key (prefix, verifier, name, auth) VALUES ('Aaaaaaaa', 'x', 'n', '\"read\"')",
        "UPDATE apikey.key SET verifier = 'x'",
        "CREATE VIEW own.sale AS SELECT * FROM public.sale; SET search_path = own, public",
        "CREATE TRIGGER t AFTER INSERT ON sale EXECUTE FUNCTION own.be()",
        "CREATE RULE r AS ON SELECT TO sale DO INSTEAD SELECT 'ada', 'everything'",
        // What is left of those who were here before
        "DISCARD ALL",
        "DISCARD PLANS",
        "RESET ALL",
    ] {
        let attempt = attempt.replace("PREFIX", &shop.ada[..8]);
        // Somebody was here before, on the same connection.
        let mut before = client.transaction().unwrap();
        assert!(login(&mut before, &shop.ada));
        before.commit().unwrap();

        let outcome = client.batch_execute(&attempt);
        // An attempt with a slip of the pen would be none.
        if let Err(error) = &outcome {
            let code = error.code().unwrap().code();
            assert!(!["42601", "42883", "42704", "42P01"].contains(&code), "{attempt}: {error:?}");
        }
        // row_security = off turns a query that a policy would limit into an error.
        let row = client.query_one(SEEN, &[]).map(|row| row.get::<_, String>(0));
        match row {
            Ok(seen) => assert_eq!(seen, NOBODYS, "{attempt}: {outcome:?}"),
            Err(error) => {
                let error = error.as_db_error().unwrap();
                assert!(attempt.contains("row_security"), "{attempt}: {error:?}");
                assert_eq!(error.code().code(), "42501", "{attempt}");
            }
        }
        // In one transaction with the attempt, too.
        let mut transaction = client.transaction().unwrap();
        if transaction.batch_execute(&attempt).is_ok() && !attempt.contains("row_security") {
            assert_eq!(seen(&mut transaction), NOBODYS, "{attempt}");
        }
        transaction.rollback().unwrap();
        shop.reset(&mut client);
    }
    // The trap is real: whoever may call it does become somebody.
    let mut superuser = shop.database.superuser();
    let mut transaction = superuser.transaction().unwrap();
    transaction.query("SELECT apikey.set_identity($1)", &[&&shop.ada[..8]]).unwrap();
    assert!(seen(&mut transaction).starts_with("ada: "));
}

/// With a key of one's own, one stays who one is: policies and defaults keep the functions and
/// operators that they were made with, and internals look in no path of the caller's.
#[test]
fn objects_of_the_applications_own_change_no_policy() {
    let shop = Shop::new();
    let mut client = shop.connect();
    for trick in [
        "CREATE FUNCTION own.apikey_current(OUT owner text, OUT auth jsonb) LANGUAGE sql
             AS $$SELECT 'ada', '[\"write\"]'::jsonb$$",
        "CREATE FUNCTION own.apikey_granted(text) RETURNS boolean LANGUAGE sql AS 'SELECT true'",
        "CREATE FUNCTION own.yes(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT true';
         CREATE OPERATOR own.= (leftarg = text, rightarg = text, function = own.yes)",
        "CREATE FUNCTION own.identity() RETURNS text LANGUAGE sql AS $$SELECT 'ADA'$$",
        "CREATE FUNCTION own.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS $$SELECT '-infinity'::timestamptz$$",
        "CREATE FUNCTION own.coalesce(boolean, boolean) RETURNS boolean LANGUAGE sql AS 'SELECT true'",
        "CREATE TEMP TABLE key AS SELECT 'BOB' AS prefix, 'ada' AS owner",
        "CREATE TYPE own.apikey_identity AS (owner varchar)",
    ] {
        let trick = trick.replace("ADA", &shop.ada[..8]).replace("BOB", &shop.bob[..8]);
        client.batch_execute(&trick).unwrap();
        client.batch_execute("SET search_path = own, pg_temp, pg_catalog, public").unwrap();
        let mut transaction = client.transaction().unwrap();
        assert!(login(&mut transaction, &shop.bob), "{trick}");
        let rows =
            transaction.query_one("SELECT string_agg(article, ', ') FROM sale", &[]).unwrap();
        assert_eq!(rows.get::<_, &str>(0), "wine", "{trick}");
        let write = transaction.execute("INSERT INTO sale VALUES ('bob', 'beer')", &[]);
        assert_eq!(refused(write).sqlstate(), "42501", "{trick}");
        transaction.rollback().unwrap();
        shop.reset(&mut client);
    }
}

/// A function in a query that would tell of each row that it meets is given none that the policy
/// hides.
#[test]
fn a_function_of_the_applications_own_meets_no_hidden_row() {
    let shop = Shop::new();
    let mut client = shop.connect();
    let leaky = "CREATE FUNCTION own.tell(text) RETURNS boolean COST 0.0001 LANGUAGE plpgsql AS $$
         BEGIN IF $1 <> 'wine' THEN RAISE 'met %', $1; END IF; RETURN true; END $$";
    client.batch_execute(leaky).unwrap();
    let trusted = leaky.replace("tell", "trust").replace("COST", "LEAKPROOF COST");
    assert_eq!(refused(client.batch_execute(&trusted)).sqlstate(), "42501");

    let mut transaction = client.transaction().unwrap();
    assert!(login(&mut transaction, &shop.bob));
    for query in [
        "SELECT article FROM sale WHERE own.tell(article)",
        "SELECT article FROM sale ORDER BY own.tell(article)",
        "SELECT article FROM sale GROUP BY article HAVING own.tell(min(article))",
    ] {
        let rows = transaction.query(query, &[]).unwrap();
        assert_eq!((rows.len(), rows[0].get::<_, &str>(0)), (1, "wine"), "{query}");
    }
    // The function does tell, where there is something to meet.
    assert!(login(&mut transaction, &shop.ada));
    let told = refused(transaction.query("SELECT article FROM sale WHERE own.tell(article)", &[]));
    assert!(told.message().starts_with("met "), "{}", told.message());
}

/// A plan that was made for one key and kept is asked again under another.
#[test]
fn a_prepared_statement_keeps_nobodys_identity() {
    let shop = Shop::new();
    for mode in ["force_generic_plan", "force_custom_plan", "auto"] {
        let mut client = shop.connect();
        client.batch_execute(&format!("SET plan_cache_mode = {mode}")).unwrap();
        let statement = client.prepare(SEEN).unwrap();
        for (key, rows) in [(&shop.ada, ADAS), (&shop.bob, BOBS), (&shop.ada, ADAS)] {
            for _ in 0..6 {
                let mut transaction = client.transaction().unwrap();
                assert!(login(&mut transaction, key));
                let row = transaction.query_one(&statement, &[]).unwrap();
                assert_eq!(row.get::<_, &str>(0), rows, "{mode}");
                transaction.commit().unwrap();
                let row = client.query_one(&statement, &[]).unwrap();
                assert_eq!(row.get::<_, &str>(0), NOBODYS, "{mode}");
            }
        }
    }
}

/// WITH HOLD keeps the rows that the transaction was given, and nothing of who it was.
#[test]
fn a_cursor_with_hold_keeps_rows_and_no_identity() {
    let shop = Shop::new();
    let mut client = shop.connect();
    let mut transaction = client.transaction().unwrap();
    assert!(login(&mut transaction, &shop.ada));
    transaction
        .batch_execute(
            "DECLARE kept CURSOR WITH HOLD FOR SELECT article, (apikey_current()).owner FROM sale ORDER BY 1;
             DECLARE gone CURSOR FOR SELECT article FROM sale",
        )
        .unwrap();
    transaction.commit().unwrap();
    assert_eq!(seen_outside(&mut client), NOBODYS);
    let kept = client.query("FETCH ALL FROM kept", &[]).unwrap();
    let kept: Vec<(&str, &str)> = kept.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(kept, [("bread", "ada"), ("salt", "ada")]);
    assert_eq!(refused(client.batch_execute("FETCH ALL FROM gone")).sqlstate(), "34000");
    assert_eq!(seen_outside(&mut client), NOBODYS);
}

/// Workers are other processes, where nobody logged in: the leader decides for them.
#[test]
fn parallel_workers_see_the_rows_of_the_key() {
    let shop = Shop::new();
    shop.database
        .superuser()
        .batch_execute(
            "INSERT INTO sale SELECT CASE n % 3 WHEN 0 THEN 'ada' ELSE 'bob' END, 'item' FROM generate_series(1, 30000) AS n;
             ANALYZE sale",
        )
        .unwrap();
    let mut client = shop.connect();
    client
        .batch_execute(
            "SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
             SET max_parallel_workers_per_gather = 2",
        )
        .unwrap();
    let mut transaction = client.transaction().unwrap();
    assert!(login(&mut transaction, &shop.ada));
    let plan = transaction.query("EXPLAIN (ANALYZE) SELECT count(*) FROM sale", &[]).unwrap();
    let plan: String = plan.iter().map(|row| row.get::<_, String>(0) + "\n").collect();
    assert!(plan.contains("Workers Launched: "), "{plan}");
    let row = transaction.query_one("SELECT count(*) FROM sale", &[]).unwrap();
    assert_eq!(row.get::<_, i64>(0), 10_002);
    transaction.rollback().unwrap();
    assert_eq!(one(&mut client, "SELECT count(*) FROM sale").unwrap(), "0");
}

/// The identity is the transaction's, whatever role goes on in it: as PostgREST does, which logs in
/// as one role and works as another.
#[test]
fn the_identity_outlasts_a_change_of_role() {
    let mut shop = Shop::new();
    let worker = shop.database.login("worker", "");
    shop.database
        .superuser()
        .batch_execute(&format!(
            "GRANT {0} TO {1};
             GRANT SELECT ON sale TO {0};
             GRANT EXECUTE ON FUNCTION apikey_current TO {0}",
            worker.role, shop.app.role
        ))
        .unwrap();
    let mut client = shop.connect();
    let mut transaction = client.transaction().unwrap();
    assert!(login(&mut transaction, &shop.ada));
    transaction.batch_execute(&format!("SET LOCAL ROLE {}", worker.role)).unwrap();
    assert_eq!(seen(&mut transaction), ADAS);
    // That role may not log in, and so cannot become another either.
    let login = transaction.query("SELECT apikey_login($1, NULL)", &[&shop.bob]);
    assert_eq!(refused(login).sqlstate(), "42501");
    transaction.rollback().unwrap();
    assert_eq!(seen_outside(&mut client), NOBODYS);
}
