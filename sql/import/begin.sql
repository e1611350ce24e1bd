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
-- The patterns below are what they look like, whatever the database's owner has sessions begin
-- with.
SET LOCAL standard_conforming_strings = on;
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

-- Every table of keys in this database, in whatever schema and of whatever model, and every key in
-- them. An import takes some of them; the report accounts for all.
CREATE TEMP TABLE source (
    relation oid,
    name     text,
    schema   text,
    model    text,
    tenant   text, -- where its keys belong to one, whatever this import takes
    unfit    text, -- why none of its keys can be imported
    remark   text
) ON COMMIT DROP;

CREATE TEMP TABLE found (
    number      bigint GENERATED ALWAYS AS IDENTITY,
    source      oid,
    id          text,
    prefix      text,
    hashed_key  text,
    name        text,
    created     timestamptz,
    expiry_date timestamptz,
    revoked     boolean
) ON COMMIT DROP;

DO $$
DECLARE
    package CONSTANT text[] := ARRAY['id', 'prefix', 'hashed_key', 'created', 'name', 'revoked', 'expiry_date'];
    model   record;
    unfit   text;
    extra   text;
BEGIN
    FOR model IN
        SELECT c.oid, format('%I.%I', n.nspname, c.relname) AS name, n.nspname, c.relname, c.relkind, a.columns, a.plain
          FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
         CROSS JOIN LATERAL (
               SELECT array_agg(a.attname::text ORDER BY a.attnum) AS columns,
                      -- To read a value of a type of somebody's own may run a function of theirs,
                      -- as whoever runs this.
                      coalesce(array_agg(a.attname::text) FILTER (WHERE t.typnamespace = 'pg_catalog'::regnamespace), '{}') AS plain,
                      bool_or(a.attname = 'id' AND format_type(a.atttypid, a.atttypmod) = 'character varying(100)') AS has_old_id
                 FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid
                WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
         ) AS a
         -- No views: reading one would run its owner's functions with the rights of whoever runs
         -- this.
         WHERE c.relkind IN ('r', 'p', 'f') AND NOT c.relispartition AND c.relpersistence <> 't'
           AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'apikey')
           -- A model may have fewer columns than the package, and none of its keys is without these
           -- two. Before version 1.4, both were in the id.
           AND (a.columns @> ARRAY['prefix', 'hashed_key']
                OR a.has_old_id AND a.columns @> ARRAY['created', 'name', 'revoked'])
         ORDER BY n.nspname, c.relname
    LOOP
        unfit := CASE
            WHEN model.relkind = 'f' THEN 'foreign tables are not read: copy it'
            WHEN NOT model.columns @> ARRAY['prefix', 'hashed_key'] THEN
                'it is of djangorestframework-api-key before 1.4: upgrade that, run manage.py migrate, and import again'
            ELSE (SELECT 'types of its own are not read: ' || string_agg(c, ', ') FROM unnest(model.columns) AS c
                   WHERE c = ANY (package) AND c <> ALL (model.plain))
        END;
        IF model.relkind <> 'f' THEN
            BEGIN
                -- What is written into the text of the statement are names of the table and of its
                -- columns.
                EXECUTE format($query$
                    INSERT INTO pg_temp.found (source, id, prefix, hashed_key, name, created, expiry_date, revoked)
                    SELECT $1, k ->> 'id', k ->> 'prefix', k ->> 'hashed_key', k ->> 'name', (k ->> 'created')::timestamptz,
                           (k ->> 'expiry_date')::timestamptz, coalesce((k ->> 'revoked')::boolean, false)
                      FROM (SELECT to_jsonb(one.*) AS k FROM (SELECT %s FROM %s AS t) AS one) AS k
                $query$,
                    (SELECT string_agg(format('t.%I', c), ', ') FROM unnest(model.plain) AS c WHERE c = ANY (package)), model.name)
                USING model.oid;
            -- Such as a right that is missing. Whether it matters is decided when it is known which
            -- tables are wanted.
            EXCEPTION WHEN OTHERS THEN
                unfit := SQLERRM;
            END;
        END IF;
        SELECT string_agg(c, ', ') INTO extra FROM unnest(model.columns) AS c WHERE c <> ALL (package);
        INSERT INTO pg_temp.source (relation, name, schema, model, unfit, remark)
        VALUES (model.oid, model.name, model.nspname, model.relname, unfit,
                'Not read: ' || extra || '. Does one of these columns make a key invalid?');
    END LOOP;
END
$$;

-- What is to be imported, and what became of it. load.sql looks at those without an outcome.
CREATE TEMP TABLE incoming (
    number     bigint, -- in pg_temp.found
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
