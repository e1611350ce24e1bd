-- Moves the keys of TiBillet's venues into apikey, as they are: their holders notice nothing.
--
--   psql -X -d DATABASE -f sql/import/tibillet.sql                    shows what would happen
--   psql -X -d DATABASE -v dry_run=off -f sql/import/tibillet.sql     does it
--
-- Variables, each given with -v NAME=VALUE:
--   tenants   schemas of the venues to import, with commas between them (all in
--             public."Customers_client")
--   rights    boolean columns of "BaseBillet_externalapikey" that are rights, beyond those named
--             below, with commas between them (none)
--   owner     whose keys those are that name no user (the venue's schema)
--   dry_run   on: everything is done, reported and rolled back (the default); off: it is committed
--
-- A venue's schema becomes the tenant of its keys. Each schema has rest_framework_api_key_apikey,
-- where a key's hash is, and "BaseBillet_externalapikey", which says what it may do. They are
-- joined by key_id = id, and no id is rebuilt from prefix and hash: it keeps the hash that the key
-- was made with, where Django has renewed hashed_key since.
--
-- A venue has further tables of keys, for scanners and tills. Nothing in them says what a key may
-- do, so they are not imported; the report names them, and how to do it.
--
-- It takes one transaction, reads TiBillet's tables and changes nothing in them. load.sql, which is
-- beside this file, tells what becomes of each key. Run again, it changes nothing. The role that
-- runs it reads all those tables and may INSERT into apikey.key: a superuser, usually.

\ir begin.sql

-- What psql knows, where the block below can read it.
\if :{?tenants}
\else
  \set tenants ''
\endif
\if :{?rights}
\else
  \set rights ''
\endif
\if :{?owner}
\else
  \set owner ''
\endif
SELECT set_config('apikey_import.tenants', :'tenants', true),
       set_config('apikey_import.rights', :'rights', true),
       set_config('apikey_import.owner', :'owner', true)
\gset ignored_

-- The venues' tables "BaseBillet_externalapikey", and their rows.
CREATE TEMP TABLE venue (
    schema  text,
    rights  text[],
    unknown text, -- boolean columns that may be rights
    missing text  -- columns that are not there
) ON COMMIT DROP;
CREATE TEMP TABLE external (
    schema text,
    key    jsonb
) ON COMMIT DROP;

DO $$
DECLARE
    -- The rights of the versions so far. Any other boolean column may be a new right or anything
    -- else, such as a switch that turns the key off: somebody has to say so.
    known_rights CONSTANT text[] := ARRAY['event', 'product', 'reservation', 'ticket', 'membership', 'wallet', 'sale',
                                          'crowd', 'page', 'place', 'artist']
                                    || regexp_split_to_array(current_setting('apikey_import.rights'), '\s*,\s*');
    -- Rights that clients see under a second name, for which there is no column.
    implied      CONSTANT jsonb := '{"event": "postaladdress", "product": "price", "page": "bloc"}';
    wanted       CONSTANT text[] :=
        regexp_split_to_array(nullif(current_setting('apikey_import.tenants'), ''), '\s*,\s*');
    unknown      text;
    missing      text;
    venue        record;
BEGIN
    IF to_regclass('public."Customers_client"') IS NULL OR to_regclass('public."AuthBillet_tibilletuser"') IS NULL THEN
        RAISE EXCEPTION 'nothing was imported: there is no public."Customers_client" or public."AuthBillet_tibilletuser"'
            USING HINT = 'Is this TiBillet''s database? sql/import/django.sql imports keys of other projects.';
    END IF;
    SELECT string_agg(quote_literal(t), ', ') INTO unknown FROM unnest(wanted) AS t
     WHERE NOT EXISTS (SELECT FROM public."Customers_client" AS c WHERE c.schema_name = t);
    IF unknown IS NOT NULL THEN
        RAISE EXCEPTION 'nothing was imported: there is no tenant %', unknown
            USING HINT = 'The variable tenants names schemas in public."Customers_client".';
    END IF;

    UPDATE pg_temp.source AS s SET tenant = c.schema_name
      FROM public."Customers_client" AS c WHERE c.schema_name = s.schema;
    UPDATE pg_temp.source AS s
       SET remark = nullif(concat_ws('. ', CASE
               WHEN s.tenant IS NULL THEN 'No tenant has this schema'
               WHEN s.tenant <> ALL (wanted) THEN 'Its tenant is not asked for'
               WHEN s.model <> 'rest_framework_api_key_apikey' THEN
                   format('Nothing says what its keys may do. Do you? django.sql with -v table=%L -v tenant=%L -v auth=…',
                          s.name, s.tenant)
           END, s.remark), '');

    FOR venue IN
        SELECT c.oid, n.nspname AS schema, a.columns, a.rights
          FROM pg_temp.source AS s
          JOIN pg_namespace AS n ON n.nspname = s.schema
          -- No view: reading one would run its owner's functions with the rights of whoever runs
          -- this.
          JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = 'BaseBillet_externalapikey' AND c.relkind IN ('r', 'p')
         CROSS JOIN LATERAL (
               SELECT coalesce(array_agg(a.attname::text), '{}') AS columns,
                      coalesce(array_agg(a.attname::text) FILTER (WHERE a.atttypid = 'boolean'::regtype), '{}') AS rights
                 FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid
                WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
                  -- To read a value of a type of somebody's own may run a function of theirs, as
                  -- whoever runs this.
                  AND t.typnamespace = 'pg_catalog'::regnamespace
         ) AS a
         WHERE s.model = 'rest_framework_api_key_apikey' AND s.tenant = ANY (coalesce(wanted, ARRAY[s.tenant]))
    LOOP
        SELECT string_agg(r, ',' ORDER BY r) INTO unknown FROM unnest(venue.rights) AS r WHERE r <> ALL (known_rights);
        SELECT string_agg(c, ', ') INTO missing FROM unnest(ARRAY['key_id', 'name', 'ip', 'user_id']) AS c
         WHERE c <> ALL (venue.columns);
        INSERT INTO pg_temp.venue VALUES (venue.schema, venue.rights, unknown, missing);
        -- What is written into the text of the statement are names of the table and of its columns.
        EXECUTE format('INSERT INTO pg_temp.external SELECT $1, to_jsonb(one.*) FROM (SELECT %s FROM %s AS t) AS one',
                       (SELECT string_agg(format('t.%I', c), ', ') FROM unnest(venue.columns) AS c), venue.oid::regclass)
        USING venue.schema;
    END LOOP;

    INSERT INTO pg_temp.incoming
           (number, tenant, prefix, verifier, name, owner, auth, ip, metadata, created_at, expires_at, revoked, outcome)
    SELECT f.number, s.tenant, f.prefix, f.hashed_key, coalesce(e.key ->> 'name', f.name),
           coalesce(nullif(btrim(u.email), ''), nullif(current_setting('apikey_import.owner'), ''), s.tenant),
           (SELECT jsonb_object_agg(member, coalesce(granted::boolean, false))
              FROM (SELECT r AS member, e.key ->> r AS granted FROM unnest(v.rights) AS r
                    UNION ALL
                    SELECT implied ->> r, e.key ->> r FROM unnest(v.rights) AS r WHERE implied ? r
                    UNION ALL
                    SELECT 'walletrefill', (e.key ->> 'gift_asset_id' IS NOT NULL)::text WHERE e.key ? 'gift_asset_id') AS auth
             WHERE e.key IS NOT NULL),
           e.key ->> 'ip',
           -- The one asset that a key with walletrefill may refill.
           jsonb_strip_nulls(jsonb_build_object('gift_asset', e.key -> 'gift_asset_id')),
           f.created, f.expiry_date, f.revoked,
           CASE
               WHEN s.unfit IS NOT NULL THEN 'not imported: ' || s.unfit
               WHEN v.schema IS NULL THEN 'not imported: there is no table "BaseBillet_externalapikey" that says what it may do'
               WHEN v.missing IS NOT NULL THEN
                   'not imported: "BaseBillet_externalapikey", which says what it may do, has no column ' || v.missing
               WHEN e.key IS NULL THEN 'not imported: orphan, nothing says what it may do'
               WHEN v.unknown IS NOT NULL THEN 'not imported: is this a right? If so, add -v rights=' || v.unknown
           END
      FROM pg_temp.source AS s
      JOIN pg_temp.found AS f ON f.source = s.relation
      LEFT JOIN pg_temp.venue AS v ON v.schema = s.schema
      LEFT JOIN pg_temp.external AS e ON e.schema = s.schema AND e.key ->> 'key_id' = f.id
      LEFT JOIN public."AuthBillet_tibilletuser" AS u ON u.id::text = e.key ->> 'user_id'
     WHERE s.model = 'rest_framework_api_key_apikey' AND s.tenant = ANY (coalesce(wanted, ARRAY[s.tenant]));
END
$$;

\ir load.sql
\ir report.sql

\echo 'Names that several tenants use (each keeps its own: a name is unique within a tenant)'
SELECT i.name, string_agg(DISTINCT i.tenant, ', ' ORDER BY i.tenant) AS tenants
  FROM pg_temp.incoming AS i
 GROUP BY i.name
HAVING count(DISTINCT i.tenant) > 1
 ORDER BY 1;

\echo 'Tenants without a key'
SELECT c.schema_name AS tenant FROM public."Customers_client" AS c
 WHERE :'tenants' = '' OR c.schema_name = ANY (regexp_split_to_array(:'tenants', '\s*,\s*'))
EXCEPT
SELECT s.tenant FROM pg_temp.source AS s LEFT JOIN pg_temp.found AS f ON f.source = s.relation
 WHERE f.number IS NOT NULL OR s.unfit IS NOT NULL
 ORDER BY 1;

\ir end.sql
