//! Clients that share one connection to the server, through pgbouncer in transaction mode.

use apikey_tests::{ExampleShop, Pgbouncer, one};
use postgres::types::Type;
use postgres::{Client, Transaction};
use std::thread;

const SEEN: &str = "SELECT coalesce((keys.apikey_current()).owner, 'nobody') || ': '
    || coalesce((SELECT string_agg(article, ', ') FROM sale), 'nothing')";

struct Pooled {
    shop: ExampleShop,
    pooler: Pgbouncer,
}

impl Pooled {
    fn new() -> Self {
        let shop = ExampleShop::new();
        shop.database
            .superuser()
            .batch_execute(
                "INSERT INTO sale (owner, article) VALUES ('ada', 'bread'), ('bob', 'wine')",
            )
            .unwrap();
        let pooler = Pgbouncer::start(&shop.database, &shop.till);
        Self { shop, pooler }
    }
}

/// Without a named statement, which a transaction pooler might look for on another connection.
fn login(transaction: &mut Transaction<'_>, key: &str) -> bool {
    let rows = transaction.query_typed("SELECT keys.apikey_login($1, NULL)", &[(&key, Type::TEXT)]);
    rows.unwrap()[0].get(0)
}

fn seen(transaction: &mut Transaction<'_>) -> String {
    transaction.query_typed(SEEN, &[]).unwrap()[0].get(0)
}

fn server_process(client: &mut Client) -> String {
    one(client, "SELECT pg_backend_pid()").unwrap()
}

#[test]
fn the_next_client_of_a_connection_is_nobody() {
    let pooled = Pooled::new();
    let mut first = pooled.pooler.connect();
    let mut second = pooled.pooler.connect();
    assert_eq!(server_process(&mut first), server_process(&mut second), "not one connection");
    for end in ["COMMIT", "ROLLBACK", "SELECT 1/0"] {
        let mut transaction = first.transaction().unwrap();
        assert!(login(&mut transaction, &pooled.shop.ada), "{end}");
        assert_eq!(seen(&mut transaction), "ada: bread", "{end}");
        // An error ends the transaction, too, and the pooler waits for the ROLLBACK.
        let _ = transaction.batch_execute(end);
        transaction.rollback().unwrap();
        assert_eq!(one(&mut second, SEEN).unwrap(), "nobody: nothing", "{end}");

        let mut transaction = second.transaction().unwrap();
        assert_eq!(seen(&mut transaction), "nobody: nothing", "{end}");
        assert!(login(&mut transaction, &pooled.shop.bob), "{end}");
        assert_eq!(seen(&mut transaction), "bob: wine", "{end}");
        transaction.commit().unwrap();
        assert_eq!(one(&mut first, SEEN).unwrap(), "nobody: nothing", "{end}");
    }
    assert_eq!(server_process(&mut first), server_process(&mut second), "not one connection");
}

/// A client that goes in the middle of its transaction leaves nobody behind.
#[test]
fn a_client_that_vanishes_leaves_no_identity() {
    let pooled = Pooled::new();
    let mut first = pooled.pooler.connect();
    let mut transaction = first.transaction().unwrap();
    assert!(login(&mut transaction, &pooled.shop.ada));
    std::mem::forget(transaction);
    drop(first);
    let mut second = pooled.pooler.connect();
    assert_eq!(one(&mut second, SEEN).unwrap(), "nobody: nothing");
}

/// Clients that take turns as fast as they can: each is who it says or nobody, never another.
#[test]
fn clients_that_take_turns_are_never_each_other() {
    let pooled = Pooled::new();
    thread::scope(|scope| {
        for (key, rows) in [(&pooled.shop.ada, "ada: bread"), (&pooled.shop.bob, "bob: wine")] {
            let mut client = pooled.pooler.connect();
            scope.spawn(move || {
                for round in 0..100 {
                    assert_eq!(one(&mut client, SEEN).unwrap(), "nobody: nothing");
                    let mut transaction = client.transaction().unwrap();
                    assert!(login(&mut transaction, key));
                    assert_eq!(seen(&mut transaction), rows);
                    if round % 2 == 0 {
                        transaction.commit().unwrap();
                    } else {
                        transaction.rollback().unwrap();
                    }
                }
            });
        }
    });
}

/// What docs/row-level-security.md warns of: a cursor WITH HOLD belongs to the connection, and its
/// rows to whoever is given that next.
#[test]
fn a_cursor_with_hold_is_handed_on_by_the_pooler() {
    let pooled = Pooled::new();
    let mut first = pooled.pooler.connect();
    let mut transaction = first.transaction().unwrap();
    assert!(login(&mut transaction, &pooled.shop.ada));
    transaction
        .batch_execute("DECLARE kept CURSOR WITH HOLD FOR SELECT article FROM sale")
        .unwrap();
    transaction.commit().unwrap();
    let mut second = pooled.pooler.connect();
    assert_eq!(one(&mut second, "FETCH ALL FROM kept").unwrap(), "bread");
    assert_eq!(one(&mut second, SEEN).unwrap(), "nobody: nothing");
}
