//! The extension's own tables, as a worker finds them.

use pgrx::pg_sys::Oid;
use pgrx::prelude::*;
use pgrx::spi::SpiResult;
use std::time::Duration;

/// After this long, what is left is left to the next worker: `DROP DATABASE` waits 5 s for those
/// who are connected.
pub const LONG_ENOUGH: Duration = Duration::from_secs(2);

/// The extension's own table of this name, if it is in this database and has one.
const TABLE: &str = "
    SELECT c.oid, c.relowner
      FROM pg_extension AS e
      JOIN pg_depend AS d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e'
      JOIN pg_class AS c ON d.classid = 'pg_class'::regclass AND d.objid = c.oid
      JOIN pg_namespace AS n ON n.oid = c.relnamespace
     WHERE e.extname = 'apikey' AND n.nspname = 'apikey' AND c.relname = $1";

/// It and its owner.
pub fn find_table(name: &str) -> SpiResult<Option<(Oid, Oid)>> {
    Spi::connect(|client| {
        let rows = client.select(TABLE, Some(1), &[name.into()])?;
        if rows.is_empty() {
            Ok(None)
        } else {
            rows.first().get_two().map(|(table, owner)| table.zip(owner))
        }
    })
}
