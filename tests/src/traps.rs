//! What the owner of a database, who is no superuser, sets up to be called in somebody's place.

use crate::database::{Database, one};
use crate::login::Login;
use postgres::Client;

/// Functions, operators, types and tables of the names that statements use, in a schema `traps`.
/// What is met there is noted.
const TRAPS: &str = include_str!("traps.sql");

/// A database with such an owner.
pub struct Traps {
    owner: Login,
    /// Whose statements are to be led astray.
    role: String,
}

impl Traps {
    pub fn set(database: &mut Database, role: &str) -> Self {
        let owner = database.login("owner", "");
        let give = format!(
            "ALTER DATABASE {} OWNER TO {1}; ALTER SCHEMA public OWNER TO {1}",
            database.name, owner.role
        );
        database.superuser().batch_execute(&give).unwrap();
        let traps = Self { owner, role: role.to_owned() };
        traps.spring(database, TRAPS).unwrap();
        traps
    }

    /// Has the owner do something, in which `{database}` and `{role}` stand for their names.
    pub fn spring(&self, database: &Database, statements: &str) -> Result<(), postgres::Error> {
        let mut owner = database.connect(&self.owner);
        // He sets himself traps, too; and Postgres knows PL/pgSQL's settings once that is used.
        owner.batch_execute("SET default_transaction_read_only = off; DO $$ BEGIN END $$")?;
        let statements = statements.replace("{database}", &database.name);
        owner.batch_execute(&statements.replace("{role}", &self.role))
    }

    /// Whom the path of the database leads astray as anybody.
    pub fn superuser(database: &Database) -> Client {
        let mut client = database.superuser();
        client.batch_execute("SET search_path = pg_catalog, pg_temp").unwrap();
        client
    }

    #[track_caller]
    pub fn assert_nothing_was_caught(&self, database: &Database, trick: &str) {
        let mut client = Self::superuser(database);
        let schema =
            "SELECT relnamespace::regnamespace::text FROM pg_class WHERE relname = 'caught'";
        let schema = one(&mut client, schema).unwrap();
        let caught = one(
            &mut client,
            &format!("SELECT string_agg(DISTINCT what, ' ') FROM {schema}.caught"),
        );
        assert_eq!(caught, None, "{trick}");
    }
}
