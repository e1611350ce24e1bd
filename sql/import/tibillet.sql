-- Moves the keys of TiBillet's venues into apikey, as they are: their holders notice nothing.
--
--   psql -X -d DATABASE -f sql/import/tibillet.sql                    shows what would happen
--   psql -X -d DATABASE -v dry_run=off -f sql/import/tibillet.sql     does it
--
-- Variables, each given with -v NAME=VALUE:
--   tenants   schemas of the venues to import, with commas between them (all in public."Customers_client")
--   rights    boolean columns of "BaseBillet_externalapikey" that are rights, beyond those named below, with commas
--             between them (none)
--   owner     whose keys those are that name no user (the venue's schema)
--   dry_run   on: everything is done, reported and rolled back (the default); off: it is committed
--
-- A venue's schema becomes the tenant of its keys. Each schema has rest_framework_api_key_apikey, where a key's hash is,
-- and "BaseBillet_externalapikey", which says what it may do. They are joined by key_id = id, and no id is rebuilt from
-- prefix and hash: it keeps the hash that the key was made with, where Django has renewed hashed_key since.
--
-- It takes one transaction, reads TiBillet's tables and changes nothing in them. load.sql, which is beside this file,
-- tells what becomes of each key. Run again, it changes nothing. The role that runs it reads all those tables and may
-- INSERT into apikey.key: a superuser, usually.

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

DO $$
DECLARE
    -- The rights of the versions so far. Any other boolean column may be a new right or anything else, such as a
    -- switch that turns the key off: somebody has to say so.
    known_rights CONSTANT text[] := ARRAY['event', 'product', 'reservation', 'ticket', 'membership', 'wallet', 'sale',
                                          'crowd', 'page', 'place', 'artist']
                                    || regexp_split_to_array(current_setting('apikey_import.rights'), '\s*,\s*');
    -- Rights that clients see under a second name, for which there is no column.
    implied      CONSTANT jsonb := '{"event": "postaladdress", "product": "price", "page": "bloc"}';
    wanted       CONSTANT text[] :=
        regexp_split_to_array(nullif(current_setting('apikey_import.tenants'), ''), '\s*,\s*');
    unknown      text;
    schema       text;
    keys         regclass;
    external     regclass;
    rights       text[];
    refill       boolean;
BEGIN
    SELECT string_agg(quote_literal(t), ', ') INTO unknown FROM unnest(wanted) AS t
     WHERE NOT EXISTS (SELECT FROM public."Customers_client" AS c WHERE c.schema_name = t);
    IF unknown IS NOT NULL THEN
        RAISE EXCEPTION 'nothing was imported: there is no tenant %', unknown
            USING HINT = 'The variable tenants names schemas in public."Customers_client".';
    END IF;

    FOR schema IN
        SELECT c.schema_name FROM public."Customers_client" AS c
         WHERE wanted IS NULL OR c.schema_name = ANY (wanted) ORDER BY 1
    LOOP
        -- Ordinary tables: reading a view would run its owner's functions with the rights of whoever runs this.
        SELECT max(c.oid) FILTER (WHERE c.relname = 'rest_framework_api_key_apikey'),
               max(c.oid) FILTER (WHERE c.relname = 'BaseBillet_externalapikey')
          INTO keys, external
          FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
         WHERE n.nspname = schema AND c.relkind IN ('r', 'p');
        CONTINUE WHEN keys IS NULL; -- as in the schema public; the report names them
        IF external IS NULL THEN
            RAISE EXCEPTION 'nothing was imported: tenant % has keys, but no table "BaseBillet_externalapikey"', schema
                USING HINT = 'Without it nothing says what they may do. Leave this tenant out with -v tenants=….';
        END IF;

        SELECT coalesce(array_agg(a.attname::text) FILTER (WHERE a.atttypid = 'boolean'::regtype), '{}'),
               coalesce(bool_or(a.attname = 'gift_asset_id'), false)
          INTO rights, refill
          FROM pg_attribute AS a
         WHERE a.attrelid = external AND a.attnum > 0 AND NOT a.attisdropped;
        SELECT string_agg(r, ',' ORDER BY r) INTO unknown FROM unnest(rights) AS r WHERE r <> ALL (known_rights);

        -- $1 … $6; what is written into the text of the statement is the two tables' names.
        EXECUTE format($query$
            INSERT INTO pg_temp.incoming
                   (tenant, prefix, verifier, name, owner, auth, ip, metadata, created_at, expires_at, revoked, outcome)
            SELECT $1, k.prefix, k.hashed_key, coalesce(e.name, k.name),
                   coalesce(nullif(btrim(u.email), ''), nullif($2, ''), $1),
                   (SELECT jsonb_object_agg(member, coalesce(granted::boolean, false))
                      FROM (SELECT r AS member, to_jsonb(e) ->> r AS granted FROM unnest($3) AS r
                            UNION ALL
                            SELECT $4 ->> r, to_jsonb(e) ->> r FROM unnest($3) AS r WHERE $4 ? r
                            UNION ALL
                            SELECT 'walletrefill', (to_jsonb(e) ->> 'gift_asset_id' IS NOT NULL)::text WHERE $5) AS auth
                     WHERE e.key_id IS NOT NULL),
                   e.ip::text,
                   -- The one asset that a key with walletrefill may refill.
                   jsonb_strip_nulls(jsonb_build_object('gift_asset', to_jsonb(e) -> 'gift_asset_id')),
                   k.created, k.expiry_date, k.revoked,
                   CASE
                       WHEN e.key_id IS NULL THEN 'not imported: orphan, nothing says what it may do'
                       WHEN $6 IS NOT NULL THEN 'not imported: is this a right? If so, add -v rights=' || $6
                   END
              FROM %1$s AS k
              LEFT JOIN %2$s AS e ON e.key_id = k.id
              LEFT JOIN public."AuthBillet_tibilletuser" AS u ON u.id = e.user_id
        $query$, keys, external)
        USING schema, current_setting('apikey_import.owner'), rights, implied, refill, unknown;
    END LOOP;
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
SELECT i.tenant FROM pg_temp.incoming AS i
 ORDER BY 1;

\ir end.sql
