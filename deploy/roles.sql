-- The roles of those who manage, watch and check keys. Run it as a superuser, in the database that
-- has the extension, with
--     psql -d DATABASE -f deploy/roles.sql
-- Running it again changes nothing. A role of one of these names that was there before is shown,
-- with its members, and stops it: whoever has that role would get keys. Where you know them, as in
-- a second database of the same server, say
--     psql -d DATABASE -v existing_roles=accept -f deploy/roles.sql
-- Then give the shim's role a password, which psql hashes before it
-- sends it:
--     psql -d DATABASE -c '\password apikey_shim'
-- and grant the others to the people and applications that need them: GRANT apikey_manager TO ada.
\set ON_ERROR_STOP on

\if :{?existing_roles}
\else
  \set existing_roles ''
\endif

BEGIN;
SET LOCAL search_path = pg_catalog, pg_temp;
-- What psql knows, where the block below can read it.
SELECT set_config('apikey_roles.existing', :'existing_roles', true) \gset ignored_

-- apikey_checker: may ask whether a key is valid and what it may do, and act for it. Reads no
-- table. apikey_auditor: sees every key but its hash, and what was done to it.
-- apikey_manager: makes, changes and ends keys, sees what the auditor sees, tests keys, and learns
-- why one is refused. apikey_shim: the login role of the HTTP shim, a checker.
-- apikey_backup: reads the tables, hashes included, as pg_dump does: for the owner of the database,
-- if no superuser.
DO $$
DECLARE
    role    record;
    strange text;
BEGIN
    FOR role IN
        WITH member AS (
            SELECT d.classid, d.objid
              FROM pg_extension AS e
              JOIN pg_depend AS d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e'
             WHERE e.extname = 'apikey'
        ), granted (grantee) AS (
            SELECT a.grantee
              FROM member AS m JOIN pg_proc AS p ON m.classid = 'pg_proc'::regclass AND m.objid = p.oid
             CROSS JOIN aclexplode(p.proacl) AS a
            UNION
            SELECT a.grantee
              FROM member AS m JOIN pg_class AS c ON m.classid = 'pg_class'::regclass AND m.objid = c.oid
             CROSS JOIN aclexplode(c.relacl) AS a
            -- The shim's role has what the checker's has.
            UNION
            SELECT a.member
              FROM pg_auth_members AS a JOIN pg_proc AS p ON p.oid IN (SELECT m.objid FROM member AS m)
             CROSS JOIN aclexplode(p.proacl) AS g
             WHERE a.roleid = g.grantee AND a.roleid = (SELECT c.oid FROM pg_authid AS c WHERE c.rolname = 'apikey_checker')
               AND a.member = (SELECT s.oid FROM pg_authid AS s WHERE s.rolname = 'apikey_shim')
        )
        SELECT r.rolname AS name,
               r.oid IN (SELECT g.grantee FROM granted AS g) AS known,
               concat_ws(', ',
                         CASE WHEN r.rolsuper THEN 'it is a superuser' END,
                         CASE WHEN r.rolcanlogin THEN 'it can log in' ELSE 'it cannot log in' END,
                         CASE WHEN r.rolpassword IS NULL THEN 'it has no password' ELSE 'it has a password' END,
                         coalesce('its members are '
                                  || (SELECT string_agg(quote_ident(o.rolname), ', ' ORDER BY o.rolname)
                                        FROM pg_auth_members AS a JOIN pg_authid AS o ON o.oid = a.member
                                       WHERE a.roleid = r.oid), 'it has no members')) AS described
          FROM pg_authid AS r
         WHERE r.rolname IN ('apikey_checker', 'apikey_auditor', 'apikey_manager', 'apikey_shim', 'apikey_backup')
         ORDER BY r.rolname
    LOOP
        IF role.known THEN
            RAISE NOTICE 'the role % has rights here already: %', role.name, role.described;
        ELSE
            RAISE WARNING 'the role % was there before: %', role.name, role.described;
            strange := concat_ws(', ', strange, role.name);
        END IF;
    END LOOP;
    IF strange IS NOT NULL AND current_setting('apikey_roles.existing') <> 'accept' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = format('nothing was granted: it would be to roles that were there before (%s)', strange),
            HINT = 'Look at who has them. Drop them, or run this again with psql -v existing_roles=accept.';
    END IF;
END
$$;
SELECT format('CREATE ROLE %I %s', wanted.name, wanted.attributes)
  FROM (VALUES ('apikey_checker', 'NOLOGIN'),
               ('apikey_auditor', 'NOLOGIN'),
               ('apikey_manager', 'NOLOGIN'),
               ('apikey_shim', 'LOGIN'),
               ('apikey_backup', 'NOLOGIN')) AS wanted (name, attributes)
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted.name)
 ORDER BY wanted.name \gexec
SELECT format('GRANT %I TO %I', granted.role, granted.member)
  FROM (VALUES ('apikey_auditor', 'apikey_manager'), ('apikey_checker', 'apikey_shim')) AS granted (role, member)
 WHERE NOT pg_has_role(granted.member, granted.role, 'MEMBER') \gexec

-- The shim sends keys as parameters of its one statement. Where statements are logged, the log
-- shall not have them.
ALTER ROLE apikey_shim SET log_parameter_max_length = 0;
ALTER ROLE apikey_shim SET log_parameter_max_length_on_error = 0;
-- Nor what modules log by themselves, where a server has them: auto_explain also shows a plan that
-- has the key in it.
ALTER ROLE apikey_shim SET pgaudit.log_parameter = off;
ALTER ROLE apikey_shim SET auto_explain.log_min_duration = -1;

-- What the shim sets itself by its --request-timeout, unless a pooler is in between.
ALTER ROLE apikey_shim SET statement_timeout = '5s';

-- The functions and views stand in the schema that CREATE EXTENSION was pointed at.
WITH member AS (
    SELECT d.classid, d.objid
      FROM pg_extension AS e
      JOIN pg_depend AS d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e'
     WHERE e.extname = 'apikey'
), wanted (role, name) AS (
    VALUES ('apikey_checker', 'apikey_check'),
           ('apikey_checker', 'apikey_authorize'),
           -- What the shim calls: nobody else can create functions in the schema apikey.
           ('apikey_checker', 'check_key'),
           ('apikey_checker', 'check_key_at_once'),
           ('apikey_checker', 'authorize_key'),
           ('apikey_checker', 'authorize_key_at_once'),
           ('apikey_checker', 'apikey_login'),
           ('apikey_checker', 'apikey_current'),
           ('apikey_checker', 'apikey_granted'),
           ('apikey_checker', 'apikey_decision'),
           ('apikey_checker', 'apikey_identity'),
           ('apikey_auditor', 'apikeys'),
           ('apikey_auditor', 'apikey_events'),
           ('apikey_auditor', 'apikey_stats'),
           ('apikey_manager', 'apikey_create'),
           ('apikey_manager', 'apikey_rotate'),
           ('apikey_manager', 'apikey_disable'),
           ('apikey_manager', 'apikey_enable'),
           ('apikey_manager', 'apikey_revoke'),
           ('apikey_manager', 'apikey_explain'),
           -- Tells less than apikey_explain does: for the page that tests a key.
           ('apikey_manager', 'apikey_check'),
           -- What the admin page calls.
           ('apikey_manager', 'create_key'),
           ('apikey_manager', 'rotate_key'),
           ('apikey_manager', 'disable_key'),
           ('apikey_manager', 'enable_key'),
           ('apikey_manager', 'revoke_key'),
           ('apikey_manager', 'explain_key'),
           ('apikey_manager', 'check_key')
), object AS (
    SELECT p.proname AS name, 'EXECUTE ON FUNCTION ' || p.oid::regprocedure AS privilege, p.pronamespace AS schema
      FROM member AS m JOIN pg_proc AS p ON m.classid = 'pg_proc'::regclass AND m.objid = p.oid
    UNION ALL
    SELECT c.relname, 'SELECT ON ' || c.oid::regclass, c.relnamespace
      FROM member AS m JOIN pg_class AS c ON m.classid = 'pg_class'::regclass AND m.objid = c.oid
    UNION ALL
    SELECT t.typname, 'USAGE ON TYPE ' || t.oid::regtype, t.typnamespace
      FROM member AS m JOIN pg_type AS t ON m.classid = 'pg_type'::regclass AND m.objid = t.oid
     WHERE t.typname IN ('apikey_decision', 'apikey_identity')
)
SELECT format('GRANT USAGE ON SCHEMA %s TO %I', o.schema::regnamespace, w.role),
       format('GRANT %s TO %I', o.privilege, w.role)
  FROM wanted AS w JOIN object AS o USING (name) \gexec

-- What these views read is not only in tables: Postgres asks whoever reads them for this, too.
GRANT EXECUTE ON FUNCTION apikey.ended, apikey.usage_in_memory(), apikey.stats() TO apikey_auditor;

-- The shim shows the extension's counters in its metrics if its role may read them. To let it, and
-- it reads nothing else:
--     GRANT SELECT ON keys.apikey_stats TO apikey_shim; -- or the extension's schema
--     GRANT EXECUTE ON FUNCTION apikey.stats() TO apikey_shim;

-- A manager may also use plain SQL on the table, all but its hashes. Deleting a key is left to its
-- owner: a revoked key says more than one that is not there.
GRANT USAGE ON SCHEMA apikey TO apikey_manager;
GRANT SELECT (prefix, name, owner, auth, allowed_ips, created_at, created_by, expires_at, disabled_at,
              revoked_at, revoked_by, revoke_reason, tenant, metadata, replaced_by) ON apikey.key TO apikey_manager;
GRANT UPDATE (name, owner, auth, allowed_ips, expires_at, disabled_at,
              revoked_at, revoke_reason, metadata) ON apikey.key TO apikey_manager;
GRANT SELECT, INSERT, UPDATE, DELETE ON apikey.scope TO apikey_manager;
-- Which the constraints of both tables call: Postgres asks whoever writes a row for it.
GRANT EXECUTE ON FUNCTION apikey.refuse_row(text) TO apikey_manager;

GRANT USAGE ON SCHEMA apikey TO apikey_backup;
GRANT SELECT ON apikey.key, apikey.scope, apikey.event, apikey.usage TO apikey_backup;

COMMIT;
