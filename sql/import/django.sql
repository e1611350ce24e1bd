-- Moves the keys of djangorestframework-api-key into apikey, as they are: their holders notice
-- nothing.
--
--   psql -X -d DATABASE -v auth=event -f sql/import/django.sql                shows what happens
--   psql -X -d DATABASE -v auth=event -v dry_run=off -f sql/import/django.sql  does it
--
-- Variables, each given with -v NAME=VALUE:
--   auth      what the keys may do: one level (event), or JSON ('["event","ticket"]',
--             '{"event":true}'). Must be given
--   owner     whose keys they are (the role that logs in)
--   tenant    the tenant that they are valid in (none)
--   table     Django's table (public.rest_framework_api_key_apikey); a model of your own made from
--             AbstractAPIKey has another name
--   dry_run   on: everything is done, reported and rolled back (the default); off: it is committed
--
-- It takes one transaction, reads Django's tables and changes nothing in them. load.sql, which is
-- beside this file, tells what becomes of each key; the report also names the tables of keys that
-- were not asked for. Run again, it changes nothing. The role that runs it reads Django's table and
-- may INSERT into apikey.key: a superuser, usually.

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
    wanted oid;
    unfit  text;
BEGIN
    IF auth !~ '\S' THEN
        RAISE EXCEPTION 'nothing was imported: the variable auth is not given'
            USING HINT = 'Say what the keys may do: -v auth=event, or JSON such as -v auth=''["event","ticket"]''.';
    END IF;
    wanted := to_regclass(name);
    SELECT s.unfit INTO unfit FROM pg_temp.source AS s WHERE s.relation = wanted;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'nothing was imported: there is no table % with the columns prefix and hashed_key', name
            USING HINT = 'Say where Django''s table is: -v table=''SCHEMA."TABLE"''. There is '
                         || coalesce((SELECT string_agg(s.name, ', ') FROM pg_temp.source AS s), 'none in this database') || '.';
    END IF;
    IF unfit IS NOT NULL THEN
        RAISE EXCEPTION 'nothing was imported from %: %', name, unfit;
    END IF;

    INSERT INTO pg_temp.incoming (number, tenant, prefix, verifier, name, owner, auth, created_at, expires_at, revoked)
    SELECT f.number, current_setting('apikey_import.tenant'), f.prefix, f.hashed_key, f.name,
           current_setting('apikey_import.owner'),
           CASE WHEN auth ~ '^\s*[[{"]' THEN auth::jsonb ELSE to_jsonb(auth) END,
           f.created, f.expiry_date, f.revoked
      FROM pg_temp.found AS f WHERE f.source = wanted;

    UPDATE pg_temp.source AS s
       SET remark = concat_ws('. ', format('Not asked for: -v table=%L', s.name), s.remark)
     WHERE s.relation <> wanted;
END
$$;

\ir load.sql
\ir report.sql
\ir end.sql
