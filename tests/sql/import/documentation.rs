//! The commands of `docs/moving-from-django.md`, as they stand there.

use apikey_tests::{Database, Django, eventually, from_test_script, one, program, run};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
const DOCUMENT: &str = include_str!("../../../docs/moving-from-django.md");

/// The `sh` blocks of the section with this heading.
fn commands(heading: &str) -> String {
    let start = DOCUMENT.find(&format!("\n## {heading}\n")).unwrap() + 1;
    let section = DOCUMENT[start..].split("\n## ").next().unwrap();
    let blocks = section.split("\n```sh\n").skip(1).filter_map(|rest| rest.split("\n```").next());
    let commands: Vec<_> = blocks.collect();
    assert!(!commands.is_empty(), "{heading}");
    commands.join("\n")
}

/// What they print when all of them succeed, run in a checkout on this database.
fn typed(database: &Database, heading: &str) -> String {
    let bin = run(&mut program(&from_test_script("PG_CONFIG"), &["--bindir"])).success();
    let path = format!("{bin}:{}", std::env::var("PATH").unwrap());
    let superuser = database.cluster.superuser();
    let commands = commands(heading).replace("-d mydb", &format!("-d {}", database.name));
    run(program("bash", &["-euc", &commands])
        .current_dir(ROOT)
        .env("PATH", path)
        .env("PGHOST", "127.0.0.1")
        .env("PGPORT", database.port().to_string())
        .env("PGUSER", superuser.role)
        .env("PGPASSWORD", superuser.password))
    .success()
}

#[test]
fn from_the_package_as_it_is() {
    let database = Database::new();
    let mut client = database.superuser();
    let keys = Django::Current.keys(&database, "public", None);
    let printed = typed(&database, "From the package as it is");
    let shown = " all    |     5 |        5 |            0 |            0";
    assert_eq!(printed.matches(shown).count(), 2, "{printed}");
    assert!(DOCUMENT.contains(shown));
    let check = format!("SELECT apikey_check('{}', NULL)", keys["till"]);
    eventually("one hash is renewed", || {
        assert!(one(&mut client, &check).is_some());
        let printed = typed(&database, "What happens to the hashes");
        printed.contains(" sha512   |     4") && printed.contains(" argon2id |     1")
    });
}

#[test]
fn from_tibillet() {
    let database = Database::new();
    let mut client = database.superuser();
    client
        .batch_execute(
            "CREATE SCHEMA demo;
             CREATE TABLE public.\"Customers_client\" (uuid uuid PRIMARY KEY DEFAULT gen_random_uuid(), schema_name varchar(63));
             CREATE TABLE public.\"Customers_domain\" (domain varchar(253), is_primary boolean, tenant_id uuid);
             CREATE TABLE public.\"AuthBillet_tibilletuser\" (id uuid PRIMARY KEY, email varchar(254));
             INSERT INTO public.\"Customers_client\" (schema_name) VALUES ('demo');
             INSERT INTO public.\"Customers_domain\" SELECT 'demo.example.org', true, uuid FROM public.\"Customers_client\"",
        )
        .unwrap();
    let keys = Django::Current.keys(&database, "demo", None);
    client
        .batch_execute(
            "CREATE TABLE demo.\"BaseBillet_externalapikey\" AS
             SELECT prefix AS name, NULL::inet AS ip, NULL::uuid AS user_id, id AS key_id, true AS event
               FROM demo.rest_framework_api_key_apikey",
        )
        .unwrap();
    let printed = typed(&database, "From TiBillet");
    assert!(printed.ends_with("demo.example.org=demo"), "{printed}");
    let check = format!("SELECT apikey_check('{}', NULL, 'demo') ->> 'auth'", keys["till"]);
    assert_eq!(one(&mut client, &check).as_deref(), Some(r#"{"event":true,"postaladdress":true}"#));
}
