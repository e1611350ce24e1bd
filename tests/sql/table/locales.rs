//! Nothing depends on the locale of a database or on who provides it, nor on the collation of an
//! argument.

use crate::install::dump::Dump;
use apikey_tests::{AnyKeys, Cluster, Database, one};
use postgres::Client;

/// What `CREATE DATABASE` takes for each locale that this server has: of libc those of these
/// languages that are installed, of ICU and of Postgres itself as far as it was built with them.
fn locales(client: &mut Client) -> Vec<String> {
    let known = "
        WITH server AS (SELECT current_setting('server_version_num')::int / 10000 AS major)
        SELECT string_agg(DISTINCT options, ';') FROM (
            SELECT format('LOCALE %L', collcollate) || CASE WHEN major >= 15 THEN ' LOCALE_PROVIDER libc' ELSE '' END
              FROM pg_collation, server
             WHERE collprovider = 'c' AND collencoding IN (-1, 6)
               AND collcollate ~* '^(C|en_US|fr_FR|tr_TR)([.]utf-?8)?$'
            UNION ALL
            SELECT format('LOCALE_PROVIDER icu ICU_LOCALE %L LOCALE %L', icu, 'C')
              FROM server, unnest('{und,fr,tr}'::text[]) AS icu
             WHERE EXISTS (SELECT FROM pg_collation WHERE collname = 'und-x-icu') AND major >= 15
            UNION ALL
            SELECT format('LOCALE_PROVIDER builtin BUILTIN_LOCALE %L LOCALE %L', builtin, 'C')
              FROM server, unnest('{C,C.UTF-8,PG_UNICODE_FAST}'::text[]) AS builtin
             WHERE major >= CASE builtin WHEN 'PG_UNICODE_FAST' THEN 18 ELSE 17 END
        ) AS of (options)";
    one(client, known).unwrap().split(';').map(str::to_owned).collect()
}

const KEYS: &str = "SELECT md5(string_agg(k::text, E'\\n' ORDER BY prefix)) FROM apikey.key AS k";

/// What some locales take for blank and some do not, at both ends and alone; and letters that some
/// take for the same.
const ODD: &str = r"
    INSERT INTO apikey.key (prefix, verifier, name, owner, auth, tenant)
    SELECT prefix, apikey.make_verifier(prefix || '.' || repeat('s', 32)), odd, odd, to_jsonb('event'::text), odd
      FROM unnest(ARRAY[U&'\3000', U&'\00a0', U&'\0085', U&'\2028x\2028', U&'\180e', U&'\200b', 'I', 'i', U&'\0130', U&'\0131',
                        U&'\00e9', U&'e\0301', 'ss', U&'\00df', U&'\0001']) WITH ORDINALITY AS o (odd, number),
           LATERAL (SELECT 'Odd' || lpad(number::text, 5, '0')) AS p (prefix);
    INSERT INTO apikey.scope VALUES ('event', U&'\3000'), ('Event', U&'\0085'), ('EVENT', 'x')";

#[test]
fn a_dump_is_restored_under_any_locale() {
    let locales = locales(&mut Database::new().superuser());
    assert!(locales.len() > 1, "{locales:?}");
    let mut random = AnyKeys::new();
    let keys: Vec<_> = (0..10).map(|_| random.draw()).collect();
    let made = |locale: &str| {
        Database::made_with(&format!("TEMPLATE template0 {locale}"), Cluster::shared())
    };
    for (locale, next) in locales.iter().zip(locales.iter().cycle().skip(1)) {
        let from = made(locale);
        let mut client = from.superuser();
        client.batch_execute("CREATE EXTENSION apikey").unwrap();
        for insert in keys.iter().map(|key| key.insert.as_str()).chain([ODD]) {
            let inserted = client.batch_execute(insert);
            inserted.unwrap_or_else(|error| panic!("{locale}: {insert}: {error:?}"));
        }
        let before = one(&mut client, KEYS);
        let dump = Dump::plain(&from, &[]);
        let into = made(next);
        dump.restore(&into);
        let mut client = into.superuser();
        assert_eq!(one(&mut client, KEYS), before, "from {locale} to {next}");
        let key = "SELECT apikey_check('Odd00007.' || repeat('s', 32), NULL, 'I') IS NOT NULL";
        assert_eq!(one(&mut client, key).as_deref(), Some("t"), "{next}");
    }
}

/// A new version of libc or ICU, too, sorts as it likes: none of our indexes is of its order.
#[test]
fn every_index_has_the_order_of_bytes() {
    let other = "SELECT string_agg(DISTINCT i.indexrelid::regclass::text, ' ')
          FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indrelid, unnest(i.indcollation) AS its (ordering)
         WHERE c.relnamespace = 'apikey'::regnamespace AND its.ordering NOT IN (0, 'pg_catalog.\"C\"'::regcollation)";
    assert_eq!(one(&mut Database::new().superuser(), other), None);
}

/// Keys may stand in a column of any collation.
#[test]
fn no_function_minds_the_collation_of_its_arguments() {
    let database = Database::new();
    let mut client = database.superuser();
    let mut collations = vec!["\"POSIX\""];
    let icu = "SELECT count(*) > 0 FROM pg_collation WHERE collname = 'und-x-icu'";
    if one(&mut client, icu).as_deref() == Some("t") {
        let loose = "CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level1', deterministic = false)";
        client.batch_execute(loose).unwrap();
        collations.push("loose");
    }
    for collation in collations {
        let text = |text: &str| format!("'{text}' COLLATE {collation}");
        let name = text(&format!("till {}", collation.replace('"', "")));
        let (event, owner, tenant) = (text("event"), text("ada"), text("venue"));
        let create = format!(
            "SELECT apikey_create(name => {name}, auth => {event}, owner => {owner}, tenant => {tenant})"
        );
        let key = text(&one(&mut client, &create).unwrap());
        for (call, answer) in [
            ("apikey_check(KEY, NULL, TENANT) IS NOT NULL", "t"),
            ("apikey_check(KEY, NULL, upper(TENANT)) IS NOT NULL", "f"),
            ("(apikey_authorize(KEY, NULL, EVENT, TENANT)).reason", "ok"),
            ("(apikey_authorize(KEY, NULL, upper(EVENT), TENANT)).reason", "missing_scope"),
            ("apikey_explain(KEY, NULL, TENANT)", "accepted"),
            (
                "apikey_explain(KEY, NULL, upper(TENANT))",
                "refused: wrong tenant. The key is valid in 'venue' alone",
            ),
            ("apikey_login(KEY, NULL, TENANT)", "t"),
            ("apikey_granted(EVENT)", "f"),
            ("apikey_disable(KEY)", "t"),
            ("apikey_enable(KEY)", "t"),
            ("left(apikey_rotate(KEY, '1 day'), 0)", ""),
            ("apikey_revoke(KEY, EVENT)", "t"),
        ] {
            let call = call.replace("TENANT", &tenant).replace("EVENT", &event);
            let call = format!("SELECT {}", call.replace("KEY", &key));
            assert_eq!(one(&mut client, &call).as_deref(), Some(answer), "{call}");
        }
    }
}
