//! A member of a role does not always have its rights: NOINHERIT, or GRANT … WITH INHERIT FALSE
//! from version 16 on. It looks like a missing grant, and is none.

use crate::db::connection::Connection;

/// The grants by which the role would get something here that it has not, if it inherited by them.
/// A role that has the rights of the holder, and not those of the granted, does not inherit by that
/// grant.
const SQL: &str = "
WITH member AS (
    SELECT d.classid, d.objid
      FROM pg_depend AS d
      JOIN pg_extension AS e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
     WHERE e.extname = 'apikey' AND d.deptype = 'e'
), missed AS (
    SELECT r.oid
      FROM pg_roles AS r
     WHERE NOT r.rolsuper AND pg_has_role(r.oid, 'MEMBER') AND NOT pg_has_role(r.oid, 'USAGE')
       AND (EXISTS (SELECT FROM member AS m
                      JOIN pg_proc AS p ON m.classid = 'pg_proc'::regclass AND m.objid = p.oid
                     WHERE has_function_privilege(r.oid, p.oid, 'EXECUTE')
                       AND NOT has_function_privilege(p.oid, 'EXECUTE'))
            OR EXISTS (SELECT FROM member AS m
                         JOIN pg_class AS c ON m.classid = 'pg_class'::regclass AND m.objid = c.oid
                        WHERE c.relkind IN ('r', 'v')
                          AND has_any_column_privilege(r.oid, c.oid, 'SELECT')
                          AND NOT has_any_column_privilege(c.oid, 'SELECT')))
)
SELECT string_agg(DISTINCT
           CASE WHEN current_setting('server_version_num')::integer < 160000
                THEN format('ALTER ROLE %I INHERIT;', holder.rolname)
                ELSE format('GRANT %I TO %I WITH INHERIT TRUE;', granted.rolname, holder.rolname)
           END, E'\\n')
  FROM pg_auth_members AS a
  JOIN pg_roles AS granted ON granted.oid = a.roleid
  JOIN pg_roles AS holder ON holder.oid = a.member
 WHERE pg_has_role(holder.oid, 'USAGE') AND NOT pg_has_role(granted.oid, 'USAGE')
   AND EXISTS (SELECT FROM missed WHERE pg_has_role(granted.oid, missed.oid, 'MEMBER'))";

/// What an administrator can run. Whatever goes wrong, there is no such advice.
pub async fn remedy(connection: &Connection) -> Option<String> {
    connection.text(SQL, &[]).await.ok().flatten()
}
