//! A shop whose rows belong to the owners of keys, for the tests of row-level security.

use apikey_tests::{Database, Login, one};
use postgres::{Client, Transaction};

/// What an application sees: its rows, and for whom it acts.
pub const SEEN: &str = "SELECT coalesce((apikey_current()).owner, 'nobody') || ': '
    || coalesce((SELECT string_agg(article, ', ' ORDER BY article) FROM sale), 'nothing')";
pub const ADAS: &str = "ada: bread, salt";
pub const BOBS: &str = "bob: wine";
pub const NOBODYS: &str = "nobody: nothing";

/// Sales of two owners, under policies; a key for each, and the role of an application.
pub struct Shop {
    pub database: Database,
    pub app: Login,
    pub ada: String,
    pub bob: String,
}

impl Shop {
    pub fn new() -> Self {
        let mut database = Database::new();
        let app = database.login("app", "");
        // A schema of its own is more than an application needs; the tricks below need it.
        database
            .superuser()
            .batch_execute(&format!(
                "CREATE TABLE sale (
                     owner   text NOT NULL DEFAULT (apikey_current()).owner,
                     article text NOT NULL
                 );
                 INSERT INTO sale VALUES ('ada', 'bread'), ('ada', 'salt'), ('bob', 'wine');
                 ALTER TABLE sale ENABLE ROW LEVEL SECURITY;
                 CREATE POLICY own_rows ON sale USING (owner = (SELECT (apikey_current()).owner));
                 CREATE POLICY may_write ON sale AS RESTRICTIVE FOR INSERT
                     WITH CHECK ((SELECT apikey_granted('write')));
                 GRANT SELECT, INSERT ON sale TO {0};
                 GRANT EXECUTE ON FUNCTION apikey_login, apikey_current, apikey_granted TO {0};
                 CREATE SCHEMA own AUTHORIZATION {0}",
                app.role
            ))
            .unwrap();
        let ada = database.key("'[\"read\",\"write\"]'::jsonb, owner => 'ada'");
        let bob = database.key("'read', owner => 'bob'");
        Self { database, app, ada, bob }
    }

    pub fn connect(&self) -> Client {
        self.database.connect(&self.app)
    }

    /// Takes back what a session did to itself and to the application's own schema.
    pub fn reset(&self, client: &mut Client) {
        client.batch_execute("DISCARD ALL").unwrap();
        client.batch_execute("DROP SCHEMA own CASCADE").unwrap();
        let again = format!("CREATE SCHEMA own AUTHORIZATION {}", self.app.role);
        self.database.superuser().batch_execute(&again).unwrap();
    }
}

pub fn login(transaction: &mut Transaction<'_>, key: &str) -> bool {
    transaction.query_one("SELECT apikey_login($1, NULL)", &[&key]).unwrap().get(0)
}

pub fn seen(transaction: &mut Transaction<'_>) -> String {
    transaction.query_one(SEEN, &[]).unwrap().get(0)
}

pub fn seen_outside(client: &mut Client) -> String {
    one(client, SEEN).unwrap()
}
