//! Whoever may create functions where ours are, or set what a session begins with, changes no
//! answer of ours: it is the true one, or an error.

use apikey_tests::{Cluster, Database, one, refused};

/// A function of ours, one of another's that makes its calls ambiguous, and a question with its
/// answer. KEY is a good key.
const FUNCTIONS: &[(&str, &str, &str)] = &[
    (
        "apikey_check(key text, ip inet, x int DEFAULT 0)",
        "apikey_check('KEY', NULL) ->> 'auth'",
        "event",
    ),
    (
        "apikey_check(text, inet, text, x int DEFAULT 0)",
        "apikey_check('KEY', NULL, '') ->> 'auth'",
        "event",
    ),
    (
        "apikey_authorize(text, inet, text, text, x int DEFAULT 0)",
        "(apikey_authorize('KEY', NULL, 'event', '')).reason",
        "ok",
    ),
    ("apikey_login(text, inet, text, x int DEFAULT 0)", "apikey_login('KEY', NULL, '')", "t"),
    ("apikey_current(x int DEFAULT 0)", "(apikey_current()).owner IS NULL", "t"),
    ("apikey_granted(text, x int DEFAULT 0)", "apikey_granted('event')", "f"),
    (
        "apikey_explain(text, inet, text, x int DEFAULT 0)",
        "apikey_explain('KEY', NULL, '')",
        "accepted",
    ),
    ("apikey_disable(text, x int DEFAULT 0)", "apikey_disable('KEY')", "t"),
    ("apikey_enable(text, x int DEFAULT 0)", "apikey_enable('KEY')", "f"),
    (
        "apikey_rotate(text, interval, x int DEFAULT 0)",
        "length(apikey_rotate('KEY', interval '1 day'))",
        "41",
    ),
    ("apikey_revoke(text, text, x int DEFAULT 0)", "apikey_revoke('KEY', 'lost')", "t"),
    (
        "apikey_create(text, jsonb, inet, inet[], text, timestamptz, text, jsonb, x int DEFAULT 0)",
        "length(apikey_create('n', '[\"event\"]'::jsonb, NULL, NULL, NULL, NULL, NULL, NULL))",
        "41",
    ),
    (
        "apikey_create(text, text, inet, inet[], text, timestamptz, text, jsonb, x int DEFAULT 0)",
        "length(apikey_create('m', 'event'::text, NULL, NULL, NULL, NULL, NULL, NULL))",
        "41",
    ),
];

fn another(signature: &str) -> String {
    format!(
        "CREATE FUNCTION public.{signature} RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE 'mine'; END $$"
    )
}

/// Each answers as before while all others have a neighbour, so that none calls another by a name
/// that is not unique.
#[test]
fn functions_of_the_same_names_lead_no_function_of_ours_astray() {
    for (own, question, answer) in FUNCTIONS {
        let database = Database::new();
        let mut client = database.superuser();
        let question = question.replace("KEY", &database.key("'event'"));
        for (signature, ..) in FUNCTIONS.iter().filter(|(signature, ..)| signature != own) {
            // Of two forms of one name, the neighbour of the one may be the other's.
            if signature.split('(').next() != own.split('(').next() {
                client.batch_execute(&another(signature)).unwrap();
            }
        }
        let given = one(&mut client, &format!("SELECT {question}"));
        assert_eq!(given.as_deref(), Some(*answer), "{question}");
    }
}

/// By its own name, a call that is not unique is an error; in a schema where nobody else creates
/// any, there is no such call.
#[test]
fn a_call_that_is_not_unique_is_an_error_and_in_a_schema_of_its_own_there_is_none() {
    let (shared, own) = (Database::new(), Database::without_extension(Cluster::shared()));
    own.superuser()
        .batch_execute("CREATE SCHEMA keys; CREATE EXTENSION apikey SCHEMA keys")
        .unwrap();
    own.superuser()
        .batch_execute(&format!("ALTER DATABASE {} SET search_path = keys, public", own.name))
        .unwrap();
    for (signature, question, answer) in FUNCTIONS {
        let key = shared.key("'event'");
        let mut client = shared.superuser();
        client.batch_execute(&another(signature)).unwrap();
        let refusal =
            refused(client.batch_execute(&format!("SELECT {}", question.replace("KEY", &key))));
        assert_eq!(refusal.sqlstate(), "42725", "{signature}: {}", refusal.message());
        client
            .batch_execute(&format!("DROP FUNCTION {}", signature.replace(" DEFAULT 0", "")))
            .unwrap();

        let mut client = own.superuser();
        let key =
            one(&mut client, &format!("SELECT apikey_create('{}', 'event')", &key[..8])).unwrap();
        client.batch_execute("SET search_path = public").unwrap();
        client.batch_execute(&another(signature)).unwrap();
        let question = question.replace("KEY", &key).replace("apikey_", "keys.apikey_");
        let given = one(&mut client, &format!("SELECT {question}"));
        assert_eq!(given.as_deref(), Some(*answer), "{question}");
    }
}

/// What a database's owner may have all sessions begin with, and each user his own.
const SETTINGS: &[&str] = &[
    "standard_conforming_strings = off",
    "array_nulls = off",
    "default_transaction_isolation = 'serializable'",
    "DateStyle = 'SQL, DMY'",
    "IntervalStyle = 'sql_standard'",
    "TimeZone = 'Pacific/Kiritimati'",
    "transform_null_equals = on",
    "quote_all_identifiers = on",
    "client_encoding = 'LATIN1'",
    "bytea_output = 'escape'",
    "row_security = off",
    "plpgsql.extra_errors = 'all'",
    "plpgsql.check_asserts = off",
    "plan_cache_mode = 'force_generic_plan'",
    "check_function_bodies = off",
    "extra_float_digits = -15",
    "search_path = ''",
];

#[test]
fn what_a_session_begins_with_changes_no_answer() {
    for setting in SETTINGS {
        let mut database = Database::new();
        let owner = database.login("owner", "");
        let good = database.key("'event', '192.0.2.1'");
        let (spoilt, wrong) = (good.replacen('.', "x", 1), apikey_tests::wrong_secret(&good));
        let give = format!("ALTER DATABASE {} OWNER TO {}", database.name, owner.role);
        database.superuser().batch_execute(&give).unwrap();
        let set = format!("ALTER DATABASE {} SET {setting}", database.name);
        let mut client = database.connect(&owner);
        // Postgres knows PL/pgSQL's settings once that is used.
        client.batch_execute("DO $$ BEGIN END $$").unwrap();
        if let Err(error) = client.batch_execute(&set) {
            // Newer majors know no other strings.
            assert_eq!(refused::<()>(Err(error)).sqlstate(), "22023", "{setting}");
            continue;
        }
        let mut client = database.superuser();
        let accepted = r#"{"auth":"event","ip_request":"192.0.2.1","ip_valid":true}"#;
        for (question, answer) in [
            (format!("apikey_check('{good}', '192.0.2.1')"), Some(accepted)),
            (format!("apikey_check('{good}', '192.0.2.2') ->> 'ip_valid'"), Some("false")),
            (format!("apikey_check('{wrong}', '192.0.2.1')"), None),
            (
                format!("split_part(public.apikey_explain('{spoilt}', NULL), '.', 1)"),
                Some("refused: malformed"),
            ),
            (
                format!("split_part(public.apikey_explain('{wrong}', NULL), '.', 1)"),
                Some("refused: wrong secret"),
            ),
            (
                format!("split_part(public.apikey_explain('{good}', '10.0.0.1'), '.', 1)"),
                Some("refused: wrong address"),
            ),
            (
                format!("(public.apikey_authorize('{good}', '192.0.2.1', 'sale')).reason"),
                Some("missing_scope"),
            ),
            (format!("public.apikey_login('{good}', '192.0.2.1')"), Some("t")),
            (format!("length(public.apikey_rotate('{good}', '1 day'))"), Some("41")),
            (
                "apikey_create('n', 'event') ~ '^[A-Z][A-Za-z0-9]{7}[.][A-Za-z0-9]{32}$'"
                    .to_owned(),
                Some("t"),
            ),
            (format!("apikey_revoke('{good}')"), Some("t")),
            (format!("apikey_check('{good}', '192.0.2.1')"), None),
            ("count(*) FROM public.apikeys WHERE status = 'revoked'".to_owned(), Some("1")),
        ] {
            let question =
                question.replace("public.apikey", "apikey").replace("apikey", "public.apikey");
            let given = one(&mut client, &format!("SELECT {question}"));
            assert_eq!(given.as_deref(), answer, "{setting}: {question}");
        }
        for broken in ["'', 'event'", "'blank', 'ev ent'", "'list', '[]'::jsonb"] {
            let refusal =
                refused(client.batch_execute(&format!("SELECT public.apikey_create({broken})")));
            assert_eq!(refusal.sqlstate(), "23514", "{setting}: {}", refusal.message());
        }
    }
}

/// The patterns of the rules would be others.
#[test]
fn the_extension_is_not_installed_where_strings_mean_something_else() {
    let database = Database::without_extension(Cluster::shared());
    let mut client = database.superuser();
    if client.batch_execute("SET standard_conforming_strings = off").is_err() {
        return; // Newer majors know no other strings.
    }
    for statement in ["CREATE EXTENSION apikey", "ALTER EXTENSION apikey UPDATE"] {
        let refusal = refused(client.batch_execute(statement));
        assert_eq!(refusal.sqlstate(), "55000", "{statement}: {}", refusal.message());
        assert!(refusal.hint().contains("SET standard_conforming_strings = on"));
        let older = "SET standard_conforming_strings = on; CREATE EXTENSION IF NOT EXISTS apikey VERSION '0.3.0';
                     SET standard_conforming_strings = off";
        client.batch_execute(older).unwrap();
    }
}
