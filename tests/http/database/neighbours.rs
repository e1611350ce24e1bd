//! The owner of the database, who is no superuser and has no right of ours, would answer for us.
//! What comes is the true answer, or a 503; and nothing of his is run.

use apikey_tests::{Answer, Database, Login, Pgbouncer, Shim, Traps, one, refused, wrong_secret};

/// Where the traps may stand, and what may lead to them.
const TRICKS: &[(&str, &str)] = &[
    ("the path of the database", "ALTER DATABASE {database} SET search_path = traps, pg_catalog, public"),
    ("Postgres's own schema is last", "ALTER DATABASE {database} SET search_path = traps, public, pg_catalog"),
    ("no path", "ALTER DATABASE {database} SET search_path = ''"),
    ("a schema named as the role", "ALTER SCHEMA traps RENAME TO {role}"),
    ("", "ALTER SCHEMA {role} RENAME TO traps"),
    (
        "one more argument, with a default",
        "CREATE FUNCTION public.apikey_check(key text, ip inet, tenant text, x int DEFAULT 0) RETURNS json
             LANGUAGE sql AS 'SELECT traps.lie(''default'')';
         CREATE FUNCTION public.apikey_check(key text, ip inet, x date DEFAULT now()) RETURNS json
             LANGUAGE sql AS 'SELECT traps.lie(''default'')';
         CREATE FUNCTION public.apikey_authorize(text, inet, text, text, x int DEFAULT 0) RETURNS json
             LANGUAGE sql AS 'SELECT traps.lie(''default'')'",
    ),
    (
        "any number of arguments",
        "CREATE FUNCTION public.apikey_check(text, inet, VARIADIC text[]) RETURNS json
             LANGUAGE sql AS 'SELECT traps.lie(''variadic'')';
         CREATE FUNCTION public.apikey_authorize(text, inet, VARIADIC text[]) RETURNS json
             LANGUAGE sql AS 'SELECT traps.lie(''variadic'')'",
    ),
    (
        "any type",
        "CREATE FUNCTION public.apikey_check(anyelement, inet, anyelement) RETURNS json
             LANGUAGE sql AS 'SELECT traps.lie(''polymorphic'')';
         CREATE FUNCTION public.apikey_check(anycompatible, anycompatible, anycompatible) RETURNS json
             LANGUAGE sql AS 'SELECT traps.lie(''polymorphic'')';
         CREATE FUNCTION public.apikey_authorize(anyelement, inet, anyelement, anyelement) RETURNS json
             LANGUAGE sql AS 'SELECT traps.lie(''polymorphic'')'",
    ),
    (
        "the same names as those of the schema apikey",
        "CREATE FUNCTION public.check_key(text, inet, text) RETURNS json
             LANGUAGE sql AS 'SELECT traps.lie(''check_key'')';
         CREATE FUNCTION public.check_key_at_once(text, inet, text) RETURNS json
             LANGUAGE sql AS 'SELECT traps.lie(''check_key_at_once'')';
         CREATE FUNCTION public.authorize_key(text, inet, text, text) RETURNS json
             LANGUAGE sql AS 'SELECT traps.lie(''authorize_key'')'",
    ),
    ("strings", "ALTER DATABASE {database} SET standard_conforming_strings = off"),
    ("arrays", "ALTER DATABASE {database} SET array_nulls = off"),
    ("isolation", "ALTER DATABASE {database} SET default_transaction_isolation = 'serializable'"),
    ("no changes", "ALTER DATABASE {database} SET default_transaction_read_only = on"),
    ("times", "ALTER DATABASE {database} SET DateStyle = 'SQL, DMY'"),
    ("durations", "ALTER DATABASE {database} SET IntervalStyle = 'sql_standard'"),
    ("the zone", "ALTER DATABASE {database} SET TimeZone = 'Pacific/Kiritimati'"),
    ("comparisons with NULL", "ALTER DATABASE {database} SET transform_null_equals = on"),
    ("quotes", "ALTER DATABASE {database} SET quote_all_identifiers = on"),
    ("the encoding", "ALTER DATABASE {database} SET client_encoding = 'LATIN1'"),
    ("bytes", "ALTER DATABASE {database} SET bytea_output = 'escape'"),
    ("policies", "ALTER DATABASE {database} SET row_security = off"),
    ("checks of PL/pgSQL", "ALTER DATABASE {database} SET plpgsql.extra_errors = 'all'"),
    ("plans", "ALTER DATABASE {database} SET plan_cache_mode = 'force_generic_plan'"),
    ("another role", "ALTER DATABASE {database} SET role = 'postgres'"),
];

struct Town {
    database: Database,
    traps: Traps,
    shim_role: Login,
    good: String,
    revoked: String,
}

/// What the shim may execute.
enum Rights {
    Full,
    /// The functions that people call, as a role of version 0.3.0 may, or of somebody who grants by
    /// hand.
    Public,
}

impl Town {
    fn new(rights: &Rights) -> Self {
        let mut database = Database::new();
        let shim_role = match rights {
            Rights::Full => database.authorizer(),
            Rights::Public => database.login("checker", ""),
        };
        let (good, revoked) = (database.key("'event', '127.0.0.1'"), database.key("'event'"));
        let mut client = database.superuser();
        one(&mut client, &format!("SELECT apikey_revoke('{revoked}')"));
        if matches!(rights, Rights::Public) {
            let grant = format!(
                "GRANT EXECUTE ON FUNCTION apikey_check(text, inet), apikey_check(text, inet, text), apikey_authorize TO {}",
                shim_role.role
            );
            client.batch_execute(&grant).unwrap();
        }
        let traps = Traps::set(&mut database, &shim_role.role);
        Self { database, traps, shim_role, good, revoked }
    }

    fn shim(&self, port: u16) -> Shim {
        let conninfo = format!(
            "host=127.0.0.1 port={port} user={} dbname={} sslmode=disable",
            self.shim_role.role, self.database.name
        );
        Shim::start_as(&self.shim_role, &conninfo, &["--pool-size", "1"])
    }

    /// The next sessions of the shim begin with what was set meanwhile.
    fn end_sessions(&self) {
        let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = ";
        one(&mut Traps::superuser(&self.database), &format!("{end}'{}'", self.shim_role.role));
    }

    #[track_caller]
    fn assert_nothing_was_caught(&self, trick: &str) {
        self.traps.assert_nothing_was_caught(&self.database, trick);
    }

    fn ask(&self, shim: &Shim, key: &str) -> [Answer; 2] {
        let key = format!("Authorization: Api-Key {key}");
        ["/api/user/keytest/", "/auth?scope=event"].map(|path| shim.get(path, &[&key]))
    }

    #[track_caller]
    fn assert_true_answers(&self, shim: &Shim, trick: &str) {
        let [keytest, auth] = self.ask(shim, &self.good);
        assert_eq!(
            (keytest.status(), keytest.body.as_str()),
            (200, r#"{"auth":"event","ip_request":"127.0.0.1","ip_valid":true}"#),
            "{trick}"
        );
        assert_eq!(auth.header("x-apikey-prefix"), Some(&self.good[..8]), "{trick}: {}", auth.head);
        for key in [&self.revoked, &wrong_secret(&self.good)] {
            for answer in self.ask(shim, key) {
                assert_eq!(answer.status(), 401, "{trick}: {}", answer.body);
            }
        }
        assert_eq!(shim.get("/ready", &[]).status(), 200, "{trick}");
    }

    #[track_caller]
    fn assert_no_answers(&self, shim: &Shim, trick: &str) {
        for key in [&self.good, &self.revoked] {
            for answer in self.ask(shim, key) {
                assert_eq!(answer.status(), 503, "{trick}: {}", answer.body);
            }
        }
    }
}

/// What a trick set and made is there for all that come after it, too.
fn nothing_helps(rights: &Rights, pooled: bool) {
    let town = Town::new(rights);
    let pooler = pooled.then(|| Pgbouncer::start(&town.database, &town.shim_role));
    let port = pooler.as_ref().map_or(town.database.port(), Pgbouncer::port);
    let running = town.shim(port);
    let mut is_ambiguous = false;
    for (trick, statements) in TRICKS {
        let set = town.traps.spring(&town.database, statements);
        // Newer majors know no other strings, and older ones let nobody set another's role.
        if let Err(error) = set {
            let refusal = refused::<()>(Err(error));
            assert!(
                ["22023", "42501"].contains(&refusal.sqlstate()),
                "{trick}: {}",
                refusal.message()
            );
            continue;
        }
        is_ambiguous |= trick.contains("default") && matches!(rights, Rights::Public);
        let started = town.shim(port);
        for shim in [&running, &started] {
            town.end_sessions();
            if is_ambiguous {
                town.assert_no_answers(shim, trick);
                assert!(shim.log().contains("public.apikey_check("), "{}", shim.log());
                assert!(shim.log().contains("deploy/roles.sql"), "{}", shim.log());
            } else {
                town.assert_true_answers(shim, trick);
            }
        }
        town.assert_nothing_was_caught(trick);
    }
    if let Some(pooler) = pooler {
        // Another client of the pooler's leaves its path in the session that the shim gets next.
        pooler.connect().batch_execute("SET search_path = traps, pg_catalog, pg_temp").unwrap();
        if !is_ambiguous {
            town.assert_true_answers(&running, "the path of the session");
        }
        town.assert_nothing_was_caught("the path of the session");
    }
}

#[test]
fn a_hostile_owner_of_the_database_answers_for_nobody() {
    nothing_helps(&Rights::Full, false);
}

#[test]
fn nor_behind_a_pooler() {
    nothing_helps(&Rights::Full, true);
}

/// There, a function of his own of the same name makes calls ambiguous: an error, which says what
/// to do.
#[test]
fn nor_where_the_role_may_execute_the_public_functions_alone() {
    nothing_helps(&Rights::Public, false);
    nothing_helps(&Rights::Public, true);
}

/// The schema of the extension is his, so that he can drop it with all that is in it, and make
/// another one that looks like it.
#[test]
fn what_stands_in_the_place_of_the_extension_is_not_asked() {
    for pooled in [false, true] {
        let town = Town::new(&Rights::Full);
        let pooler = pooled.then(|| Pgbouncer::start(&town.database, &town.shim_role));
        let shim = town.shim(pooler.as_ref().map_or(town.database.port(), Pgbouncer::port));
        town.assert_true_answers(&shim, "before");
        let fake = "
            DROP SCHEMA public CASCADE; CREATE SCHEMA apikey; CREATE SCHEMA public;
             GRANT USAGE ON SCHEMA apikey, public TO PUBLIC;
             CREATE FUNCTION apikey.check_key(text, inet, text) RETURNS json
                 LANGUAGE sql AS 'SELECT traps.lie(''check_key'')';
             CREATE TYPE apikey.decision AS (allowed boolean, reason text, prefix text, name text, owner text, auth jsonb, tenant text);
             CREATE FUNCTION apikey.authorize_key(text, inet, text, text) RETURNS apikey.decision
                 LANGUAGE sql AS 'SELECT (true, traps.lie(''authorize_key'')::text, ''a'', ''a'', ''a'', ''{}'', '''')::apikey.decision';
             CREATE FUNCTION public.apikey_check(text, inet) RETURNS json
                 LANGUAGE sql AS 'SELECT traps.lie(''apikey_check'')'";
        // In one transaction, so that no question comes in between.
        town.traps.spring(&town.database, fake).unwrap();
        for shim in [&shim, &town.shim(town.database.port())] {
            town.assert_no_answers(shim, "a schema of the same name");
            assert!(shim.log().contains("CREATE EXTENSION apikey"), "{}", shim.log());
        }
        town.assert_nothing_was_caught("a schema of the same name");
    }
}

/// Somebody may whom the extension's owner lets. Members alone are called, or nobody is.
#[test]
fn functions_in_our_schema_that_are_no_members() {
    let town = Town::new(&Rights::Full);
    let shim = town.shim(town.database.port());
    let mut client = town.database.superuser();
    let lie = "RETURNS json LANGUAGE sql AS 'SELECT traps.lie(''in apikey'')'";
    let create = |signature: &str| format!("CREATE FUNCTION apikey.{signature} {lie}");
    for signature in [
        "apikey_check(text, inet)",
        "check_key(text, inet)",
        "check_key(text, inet, VARIADIC text[])",
    ] {
        client.batch_execute(&create(signature)).unwrap();
        town.assert_true_answers(&shim, signature);
    }
    client.batch_execute(&create("check_key_at_once(text, inet, text, x int DEFAULT 0)")).unwrap();
    town.end_sessions();
    shim.ask(&town.good).assert_problem(503);
    assert!(shim.log().contains("another function has the name"), "{}", shim.log());
    town.assert_nothing_was_caught("in the schema apikey");
    client.batch_execute("DROP FUNCTION apikey.check_key_at_once(text, inet, text, int)").unwrap();
    town.assert_true_answers(&shim, "dropped");
}

/// What makes a text of an answer is Postgres's, and nobody else's to replace.
#[test]
fn a_cast_of_ones_own_is_refused() {
    let town = Town::new(&Rights::Full);
    for cast in ["(json AS text)", "(jsonb AS text)", "(text AS inet)"] {
        let statement = format!("CREATE CAST {cast} WITH INOUT AS ASSIGNMENT");
        let outcome = town.traps.spring(&town.database, &statement);
        assert_eq!(refused(outcome).sqlstate(), "42501", "{cast}");
    }
}
