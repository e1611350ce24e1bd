-- The roles that check keys. Run it as a superuser, in the database that has the extension, with
--     psql -d DATABASE -f deploy/roles.sql
-- Running it again changes nothing. Then give the shim's role a password, which psql hashes before it
-- sends it:
--     psql -d DATABASE -c '\password apikey_shim'
\set ON_ERROR_STOP on

BEGIN;
SET LOCAL search_path = pg_catalog, pg_temp;

-- apikey_checker: may ask whether a key is valid, and nothing else. Grant it to an application's role.
SELECT 'CREATE ROLE apikey_checker NOLOGIN'
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'apikey_checker') \gexec

-- apikey_shim: the role that the HTTP shim logs in with.
SELECT 'CREATE ROLE apikey_shim LOGIN IN ROLE apikey_checker'
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'apikey_shim') \gexec

-- The shim sends keys as parameters of its one statement. Where statements are logged, the log shall not
-- have them.
ALTER ROLE apikey_shim SET log_parameter_max_length = 0;
ALTER ROLE apikey_shim SET log_parameter_max_length_on_error = 0;

-- The functions stand in the schema that CREATE EXTENSION was pointed at.
SELECT format('GRANT USAGE ON SCHEMA %s TO apikey_checker', p.pronamespace::regnamespace),
       format('GRANT EXECUTE ON FUNCTION %s TO apikey_checker', p.oid::regprocedure)
  FROM pg_extension AS e
  JOIN pg_depend AS d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e'
  JOIN pg_proc AS p ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid
 WHERE e.extname = 'apikey' AND p.proname = 'apikey_check' \gexec

COMMIT;
