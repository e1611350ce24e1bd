//! What a role may do here, by the database's own account. Pages offer no more than that; the
//! database decides again when it is done.

use std::collections::HashSet;

use crate::db::connection::Connection;
use crate::error::Error;

pub struct Permissions {
    names: HashSet<String>,
    /// The schema of the extension's views, quoted. Its functions are in the schema apikey.
    pub schema: String,
    pub zone: String,
}

/// What is part of the extension is found by that, wherever it is and whatever else has its name.
const SQL: &str = "
WITH member AS (
    SELECT d.classid, d.objid
      FROM pg_depend AS d
      JOIN pg_extension AS e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
     WHERE e.extname = 'apikey' AND d.deptype = 'e'
), allowed AS (
    SELECT p.proname::text AS name
      FROM member AS m JOIN pg_proc AS p ON m.classid = 'pg_proc'::regclass AND m.objid = p.oid
     GROUP BY p.proname
    -- Those that a view calls are found by the view.
    HAVING bool_and(has_function_privilege(p.oid, 'EXECUTE')
                    AND (p.proname IN ('ended', 'usage_in_memory') OR has_schema_privilege(p.pronamespace, 'USAGE')))
    UNION ALL
    SELECT c.relname || suffix
      FROM member AS m JOIN pg_class AS c ON m.classid = 'pg_class'::regclass AND m.objid = c.oid
     CROSS JOIN (VALUES ('SELECT', ''), ('UPDATE', ' update')) AS p (privilege, suffix)
     WHERE c.relkind IN ('r', 'v')
       AND has_any_column_privilege(c.oid, privilege) AND has_schema_privilege(c.relnamespace, 'USAGE')
)
SELECT quote_ident(n.nspname) || '.', current_setting('TimeZone'), array(SELECT name FROM allowed),
       string_to_array(e.extversion, '.')::integer[] >= '{0,4}'
  FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace
 WHERE e.extname = 'apikey'";

impl Permissions {
    pub async fn of(connection: &Connection) -> Result<Self, Error> {
        let row = connection.row(SQL, &[]).await?.ok_or(Error::NoExtension)?;
        // The version that has what the pages use.
        if !row.try_get::<_, bool>(3)? {
            return Err(Error::OldExtension);
        }
        let names: Vec<String> = row.try_get(2)?;
        Ok(Self {
            schema: row.try_get(0)?,
            zone: row.try_get(1)?,
            names: names.into_iter().collect(),
        })
    }

    fn has(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// Whether there is anything here that the role may do.
    pub fn any(&self) -> bool {
        let may = [
            self.list(),
            self.events(),
            self.create(),
            self.rotate(),
            self.disable(),
            self.enable(),
            self.revoke(),
            self.check(),
            self.explain(),
        ];
        may.contains(&true)
    }

    pub fn list(&self) -> bool {
        self.has("apikeys") && self.has("ended") && self.has("usage_in_memory")
    }

    pub fn events(&self) -> bool {
        self.has("apikey_events")
    }

    pub fn create(&self) -> bool {
        self.has("create_key")
    }

    pub fn edit(&self) -> bool {
        self.list() && self.has("key update")
    }

    pub fn rotate(&self) -> bool {
        self.has("rotate_key")
    }

    pub fn disable(&self) -> bool {
        self.has("disable_key")
    }

    pub fn enable(&self) -> bool {
        self.has("enable_key")
    }

    pub fn revoke(&self) -> bool {
        self.has("revoke_key")
    }

    pub fn check(&self) -> bool {
        self.has("check_key")
    }

    pub fn explain(&self) -> bool {
        self.has("explain_key")
    }

    pub fn scopes(&self) -> bool {
        self.has("scope")
    }
}
