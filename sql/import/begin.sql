-- How each import begins. Not to be run alone.

\set ON_ERROR_STOP on
\set ON_ERROR_ROLLBACK off
\set QUIET on
\pset pager off
\pset null ''

\if :{?dry_run}
\else
  \set dry_run on
\endif
-- By Postgres and not by \if, which would take a typo for "off".
SELECT (:'dry_run')::boolean AS dry_run \gset

-- All tenants as they are at one moment.
BEGIN ISOLATION LEVEL REPEATABLE READ;

-- Whatever else is named below is named in full.
SET LOCAL search_path = pg_catalog, pg_temp;
-- A policy that hides rows is an error, and not a key that is left behind.
SET LOCAL row_security = off;

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass('apikey.key') AND attname = 'tenant') THEN
        RAISE EXCEPTION 'nothing was imported: the extension apikey is not in this database, or older than 0.3.0'
            USING HINT = 'CREATE EXTENSION apikey; or ALTER EXTENSION apikey UPDATE;';
    END IF;
END
$$;

-- What was found, and what became of it. load.sql looks at those without an outcome.
CREATE TEMP TABLE incoming (
    tenant     text,
    prefix     text,
    verifier   text,
    name       text,
    owner      text,
    auth       jsonb,
    ip         text,
    metadata   jsonb DEFAULT '{}',
    created_at timestamptz,
    expires_at timestamptz,
    revoked    boolean,
    outcome    text
) ON COMMIT DROP;
