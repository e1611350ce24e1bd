-- Moves the keys of djangorestframework-api-key into apikey, as they are: their holders notice nothing.
--
--   psql -X -d DATABASE -v auth=event -f sql/import/django.sql                    shows what would happen
--   psql -X -d DATABASE -v auth=event -v dry_run=off -f sql/import/django.sql     does it
--
-- Variables, each given with -v NAME=VALUE:
--   auth      what the keys may do: one level (event), or JSON ('["event","ticket"]', '{"event":true}'). Must be given
--   owner     whose keys they are (the role that logs in)
--   tenant    the tenant that they are valid in (none)
--   table     Django's table (public.rest_framework_api_key_apikey); a model of your own made from AbstractAPIKey
--             has another name
--   dry_run   on: everything is done, reported and rolled back (the default); off: it is committed
--
-- It takes one transaction, reads Django's table and changes nothing in it. load.sql, which is beside this file, tells
-- what becomes of each key. Run again, it changes nothing. The role that runs it reads Django's table and may INSERT
-- into apikey.key: a superuser, usually.

\ir begin.sql

\if :{?owner}
\else
  SELECT session_user AS owner \gset
\endif
\if :{?tenant}
\else
  \set tenant ''
\endif
\if :{?table}
\else
  \set table public.rest_framework_api_key_apikey
\endif
\if :{?auth}
\else
  \set auth ''
\endif
-- What psql knows, where the block below can read it.
SELECT set_config('apikey_import.table', :'table', true),
       set_config('apikey_import.tenant', :'tenant', true),
       set_config('apikey_import.owner', :'owner', true),
       set_config('apikey_import.auth', :'auth', true)
\gset ignored_

DO $$
DECLARE
    name   CONSTANT text := current_setting('apikey_import.table');
    auth   CONSTANT text := current_setting('apikey_import.auth');
    source regclass;
BEGIN
    IF auth !~ '\S' THEN
        RAISE EXCEPTION 'nothing was imported: the variable auth is not given'
            USING HINT = 'Say what the keys may do: -v auth=event, or JSON such as -v auth=''["event","ticket"]''.';
    END IF;
    -- An ordinary table: reading a view would run its owner's functions with the rights of whoever runs this.
    SELECT c.oid INTO source FROM pg_class AS c WHERE c.oid = to_regclass(name) AND c.relkind IN ('r', 'p');
    IF source IS NULL THEN
        RAISE EXCEPTION 'nothing was imported: there is no table %', name
            USING HINT = 'Say where Django''s table is: -v table=''SCHEMA."TABLE"''.';
    END IF;

    -- What is written into the text of the statement is the table's name.
    EXECUTE format($query$
        INSERT INTO pg_temp.incoming (tenant, prefix, verifier, name, owner, auth, created_at, expires_at, revoked)
        SELECT $1, k.prefix, k.hashed_key, k.name, $2, $3, k.created, k.expiry_date, k.revoked FROM %s AS k
    $query$, source)
    USING current_setting('apikey_import.tenant'), current_setting('apikey_import.owner'),
          CASE WHEN auth ~ '^\s*[[{"]' THEN auth::jsonb ELSE to_jsonb(auth) END;
END
$$;

\ir load.sql
\ir report.sql
\ir end.sql
