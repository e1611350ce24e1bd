//! The examples in SQL, run as they say.

use apikey_tests::{ExampleShop, one, refused};
use postgres::Client;

#[test]
fn psql() {
    let shop = ExampleShop::new();
    shop.database
        .superuser()
        .batch_execute("INSERT INTO sale (owner, article) VALUES ('ada', 'bread'), ('bob', 'wine')")
        .unwrap();
    shop.log_statements();
    let run = |key: &str| {
        let output = shop.run_as_it_says("examples/psql.sql", key).success();
        output.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let [begin, end] =
        ["BEGIN CREATE TABLE COPY 1 allowed | reason | owner ---------+", "article --------- "];
    let ada = run(&shop.ada);
    assert!(ada.starts_with(begin) && ada.ends_with(&format!("{end}bread COMMIT")), "{ada}");
    assert!(ada.contains(" t | ok | ada logged_in ----------- t "), "{ada}");
    let bob = run(&shop.bob);
    assert!(bob.contains(" f | missing_scope | bob logged_in ----------- t "), "{bob}");
    assert!(bob.ends_with(&format!("{end}wine COMMIT")), "{bob}");
    let none = run(&shop.ada[..8]);
    assert!(none.contains(" f | invalid_key | logged_in ----------- f "), "{none}");
    assert!(none.ends_with("article --------- COMMIT"), "{none}");
    shop.assert_no_key_logged();
}

#[test]
fn policy_and_trigger() {
    let shop = ExampleShop::new();
    shop.psql("examples/trigger.sql");
    let mut client = shop.database.connect(&shop.till);
    let mut transaction = client.transaction().unwrap();
    transaction.query("SELECT keys.apikey_login($1, NULL)", &[&shop.ada]).unwrap();
    let sale = "INSERT INTO sale (article) VALUES ('bread')";
    transaction.execute(sale, &[]).unwrap();
    let forged = "INSERT INTO sale (article, written_with) VALUES ('salt', 'Nobodys1')";
    transaction.execute(forged, &[]).unwrap();
    transaction.commit().unwrap();
    let written = "SELECT string_agg(owner || ' ' || article || ' ' || written_with, ', ' ORDER BY id) FROM sale";
    let prefix = &shop.ada[..8];
    assert_eq!(
        one(&mut shop.database.superuser(), written).unwrap(),
        format!("ada bread {prefix}, ada salt {prefix}")
    );

    let mut transaction = client.transaction().unwrap();
    transaction.query("SELECT keys.apikey_login($1, NULL)", &[&shop.bob]).unwrap();
    assert_eq!(refused(transaction.execute(sale, &[])).sqlstate(), "42501");
}

/// The trigger's function finds the real apikey_current, whatever else the writer puts before it.
#[test]
fn the_trigger_cannot_be_told_another_key() {
    let shop = ExampleShop::new();
    shop.psql("examples/trigger.sql");
    shop.database.superuser().batch_execute("CREATE SCHEMA own AUTHORIZATION till").unwrap();
    let mut client = shop.database.connect(&shop.till);
    client
        .batch_execute(
            "CREATE FUNCTION own.apikey_current(OUT prefix text, OUT owner text) LANGUAGE sql AS $$SELECT 'Nobodys1', 'bob'$$;
             SET search_path = own, public",
        )
        .unwrap();
    let mut transaction = client.transaction().unwrap();
    transaction.query("SELECT keys.apikey_login($1, NULL)", &[&shop.ada]).unwrap();
    transaction.execute("INSERT INTO sale (article) VALUES ('bread')", &[]).unwrap();
    transaction.commit().unwrap();
    let written =
        one(&mut shop.database.superuser(), "SELECT owner || ' ' || written_with FROM sale");
    assert_eq!(written.unwrap(), format!("ada {}", &shop.ada[..8]));
}

/// One request as PostgREST makes it: a transaction with the headers in a setting of its own, the
/// pre-request function, then the query. What the request is answered with.
fn request(client: &mut Client, headers: &str) -> String {
    let mut transaction = client.transaction().unwrap();
    let setting = format!("SET LOCAL request.headers = '{headers}'");
    transaction.batch_execute(&setting).unwrap();
    if let Err(error) = transaction.batch_execute("SELECT authenticate()") {
        let error = error.as_db_error().unwrap();
        return format!("{} {}", error.code().code(), error.message());
    }
    let row = transaction.query_one("SELECT string_agg(article, ', ') FROM sale", &[]).unwrap();
    transaction.commit().unwrap();
    row.get(0)
}

#[test]
fn postgrest() {
    let shop = ExampleShop::new();
    shop.psql("examples/postgrest.sql");
    let mut owner = shop.database.superuser();
    owner
        .batch_execute("INSERT INTO sale (owner, article) VALUES ('ada', 'bread'), ('bob', 'wine')")
        .unwrap();
    let revoked = shop.database.key("'sale.read', owner => 'ada'");
    owner.query("SELECT apikey_revoke($1)", &[&revoked]).unwrap();
    let bound = shop.database.key("'sale.read', '10.0.0.1', owner => 'ada'");
    let (ada, bob) = (&shop.ada, &shop.bob);

    // One connection, as PostgREST's pool has them.
    let mut client = shop.database.connect(&shop.till);
    for (headers, answer) in [
        (format!(r#"{{"authorization": "Api-Key {ada}"}}"#), "bread"),
        (format!(r#"{{"authorization": "api-key {bob}", "accept": "*/*"}}"#), "wine"),
        (format!(r#"{{"x-api-key": "{ada}"}}"#), "bread"),
        (format!(r#"{{"authorization": "Bearer of.a.jwt", "x-api-key": "{bob}"}}"#), "wine"),
    ] {
        assert_eq!(request(&mut client, &headers), answer, "{headers}");
        let nobodys = one(&mut client, "SELECT count(*) FROM sale").unwrap();
        assert_eq!(nobodys, "0", "{headers}");
    }
    for headers in [
        String::new(),
        "{}".to_owned(),
        r#"{"authorization": ""}"#.to_owned(),
        r#"{"authorization": "Api-Key "}"#.to_owned(),
        format!(r#"{{"authorization": "{ada}"}}"#),
        format!(r#"{{"authorization": "Basic {ada}"}}"#),
        format!(r#"{{"authorization": "Api-Key {ada}x"}}"#),
        format!(r#"{{"authorization": "Api-Key {revoked}"}}"#),
        format!(r#"{{"authorization": "Api-Key {bound}"}}"#),
        format!(r#"{{"authorization": "Api-Key {revoked}", "x-api-key": "{ada}"}}"#),
    ] {
        let refusal = "PT401 The request carries no valid API key.";
        assert_eq!(request(&mut client, &headers), refusal, "{headers}");
    }
}
