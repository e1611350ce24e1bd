-- apikey 0.2.0 to 0.3.0. What is new is the same text as in apikey--0.3.0.sql; what changes stands here first.
--
-- Locks: apikey.key is locked against everything for as long as its rows take to be checked anew: a second for
-- a million keys.

\echo Use "ALTER EXTENSION apikey UPDATE" to load this file. \quit

-- Names below are found in pg_catalog, or written in full.
SET LOCAL search_path = pg_catalog, pg_temp;

------------------------------------------------------------------------------------------------------
-- Storage
------------------------------------------------------------------------------------------------------

-- Keys that were generated before have no tag: it is made of the key, which nobody has. They get one when they
-- are rotated.
ALTER TABLE apikey.key
    ADD COLUMN tag integer,
    ADD CONSTRAINT tag_of_argon2id CHECK (tag IS NULL OR verifier LIKE '$argon2id$%');
COMMENT ON COLUMN apikey.key.tag IS '32 bits of a fast hash of the key, by which a wrong secret is refused without the slow one; NULL where the secret may have been chosen by a person';
COMMENT ON CONSTRAINT tag_of_argon2id ON apikey.key IS 'Only a key that was generated here has a tag. Leave it NULL.';

CREATE FUNCTION apikey.forget_tag() RETURNS trigger
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    NEW.tag := NULL;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION apikey.forget_tag() IS 'Trigger: takes the tag of a key away';

CREATE TRIGGER tag_belongs_to_verifier BEFORE UPDATE ON apikey.key FOR EACH ROW
WHEN (NEW.verifier <> OLD.verifier AND NEW.tag = OLD.tag)
EXECUTE FUNCTION apikey.forget_tag();
COMMENT ON TRIGGER tag_belongs_to_verifier ON apikey.key IS 'A tag that was left from another verifier would refuse the right key';

CREATE OR REPLACE FUNCTION apikey.record_event() RETURNS trigger
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    -- Of a verifier and its tag no more than the method: $argon2id, pbkdf2_sha256 …
    old_row jsonb := '{}';
    new_row jsonb := '{}';
    action  text;
    changed jsonb;
BEGIN
    IF TG_OP <> 'INSERT' THEN
        old_row := to_jsonb(OLD) - 'tag' || jsonb_build_object('verifier', substring(OLD.verifier FROM '[a-z0-9_]+'));
    END IF;
    IF TG_OP <> 'DELETE' THEN
        new_row := to_jsonb(NEW) - 'tag' || jsonb_build_object('verifier', substring(NEW.verifier FROM '[a-z0-9_]+'));
    END IF;
    IF TG_OP = 'UPDATE' THEN
        SELECT jsonb_object_agg(n.key, jsonb_build_object('from', old_row -> n.key, 'to', n.value)) INTO changed
          FROM jsonb_each(new_row) AS n
         WHERE n.value IS DISTINCT FROM old_row -> n.key
            OR n.key = 'verifier' AND (NEW.verifier, NEW.tag) IS DISTINCT FROM (OLD.verifier, OLD.tag);
        IF changed IS NULL THEN
            RETURN NULL;
        END IF;
        action := CASE
            WHEN OLD.replaced_by IS NULL AND NEW.replaced_by IS NOT NULL THEN 'rotate'
            WHEN OLD.revoked_at IS NULL AND NEW.revoked_at IS NOT NULL THEN 'revoke'
            WHEN OLD.disabled_at IS NULL AND NEW.disabled_at IS NOT NULL THEN 'disable'
            WHEN OLD.disabled_at IS NOT NULL AND NEW.disabled_at IS NULL THEN 'enable'
            ELSE 'change'
        END;
    ELSE
        changed := jsonb_strip_nulls(old_row || new_row);
        action := CASE
            WHEN TG_OP = 'DELETE' THEN 'delete'
            WHEN NEW.created_at = now() THEN 'create'
            ELSE 'import'
        END;
    END IF;
    INSERT INTO apikey.event (action, prefix, changed)
    VALUES (action, (old_row || new_row) ->> 'prefix', changed);
    RETURN NULL;
END
$$;

------------------------------------------------------------------------------------------------------
-- The use of keys
------------------------------------------------------------------------------------------------------

-- A check writes nothing: uses are counted in shared memory, and stored here by a background worker. The slot
-- of memory that a key is counted in has a number of its own; a row says how much of that slot is in its
-- counts, so that nothing is added twice. No foreign key: a dump can be restored table by table, in any order.
CREATE TABLE apikey.usage (
    prefix        text COLLATE "C" NOT NULL,
    accepted      bigint NOT NULL,
    refused       bigint NOT NULL,
    last_used_at  timestamptz,
    last_used_ip  inet,
    slot          bigint NOT NULL,
    slot_accepted bigint NOT NULL,
    slot_refused  bigint NOT NULL,

    CONSTRAINT usage_pkey PRIMARY KEY (prefix),
    CONSTRAINT usage_counts CHECK (accepted >= 0 AND refused >= 0 AND slot_accepted >= 0 AND slot_refused >= 0),
    CONSTRAINT usage_address_of_a_use CHECK (last_used_at IS NOT NULL OR last_used_ip IS NULL)
)
-- Room for the next version of a row beside it, so that no index changes.
WITH (fillfactor = 50);
SELECT pg_extension_config_dump('apikey.usage', '');
COMMENT ON TABLE apikey.usage IS 'How often each key was used, and when and from where last, up to the last time that this was stored; the view apikeys has what came since, too';
COMMENT ON COLUMN apikey.usage.prefix IS 'The key';
COMMENT ON COLUMN apikey.usage.accepted IS 'How often it was valid and came from a right address';
COMMENT ON COLUMN apikey.usage.refused IS 'How often it was refused: wrong secret, address or tenant, revoked, expired or disabled';
COMMENT ON COLUMN apikey.usage.last_used_at IS 'When it was accepted last; NULL: never';
COMMENT ON COLUMN apikey.usage.last_used_ip IS 'The address that it was accepted from last; NULL: unknown';
COMMENT ON COLUMN apikey.usage.slot IS 'The slot of shared memory that the key was counted in last';
COMMENT ON COLUMN apikey.usage.slot_accepted IS 'How much of what that slot counted is in accepted';
COMMENT ON COLUMN apikey.usage.slot_refused IS 'How much of what that slot counted is in refused';
COMMENT ON CONSTRAINT usage_pkey ON apikey.usage IS 'The use of a key is counted in one row.';
COMMENT ON CONSTRAINT usage_counts ON apikey.usage IS 'A count is not negative.';
COMMENT ON CONSTRAINT usage_address_of_a_use ON apikey.usage IS 'An address is that of a use.';

CREATE FUNCTION apikey.forget_usage() RETURNS trigger
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    DELETE FROM apikey.usage AS u WHERE u.prefix = OLD.prefix;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION apikey.forget_usage() IS 'Trigger: removes what is stored about the use of a key that is deleted';

CREATE TRIGGER forget_usage AFTER DELETE ON apikey.key FOR EACH ROW
EXECUTE FUNCTION apikey.forget_usage();
COMMENT ON TRIGGER forget_usage ON apikey.key IS 'What is stored about the use of a key goes with it';
ALTER TABLE apikey.key ENABLE ALWAYS TRIGGER forget_usage;

CREATE FUNCTION apikey.usage_in_memory()
RETURNS TABLE (prefix text, slot bigint, accepted bigint, refused bigint, last_used_at timestamptz, last_used_ip inet)
LANGUAGE c VOLATILE PARALLEL RESTRICTED STRICT SECURITY INVOKER
AS 'MODULE_PATHNAME', 'usage_in_memory_wrapper';
COMMENT ON FUNCTION apikey.usage_in_memory() IS 'What the slots of shared memory have counted for keys of this database since each was given its slot; whoever reads the view apikeys needs EXECUTE on it';

------------------------------------------------------------------------------------------------------
-- Creating and rotating a key
------------------------------------------------------------------------------------------------------

CREATE FUNCTION apikey.make_tag(key text, verifier text) RETURNS integer
LANGUAGE c IMMUTABLE PARALLEL SAFE STRICT SECURITY INVOKER
AS 'MODULE_PATHNAME', 'make_tag_wrapper';
COMMENT ON FUNCTION apikey.make_tag(text, text) IS '32 bits of a fast hash of a key and its verifier. For keys of generate_key alone: a chosen secret has too few bits to give any away';

CREATE OR REPLACE FUNCTION @extschema@.apikey_create(
    name       text,
    auth       jsonb,
    ip         inet        DEFAULT NULL,
    ips        inet[]      DEFAULT NULL,
    owner      text        DEFAULT NULL,
    expires_at timestamptz DEFAULT NULL,
    tenant     text        DEFAULT NULL,
    metadata   jsonb       DEFAULT NULL
) RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    key      text;
    prefix   text;
    verifier text;
    tag      integer;
    broken   text;
BEGIN
    IF ip IS NOT NULL AND ips IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'no API key was created: both ip and ips are given',
            HINT = 'Give one address as ip, or all of them as ips.';
    END IF;
    owner := coalesce(owner, session_user);
    tenant := coalesce(tenant, '');
    metadata := coalesce(metadata, '{}');

    -- Two of 10^13 prefixes hardly ever clash: a second clash in a row is no accident.
    FOR attempt IN 1..4 LOOP
        -- By assignment, so that no statement below has the key among its parameters.
        key := apikey.generate_key();
        prefix := split_part(key, '.', 1);
        verifier := apikey.make_verifier(key);
        tag := apikey.make_tag(key, verifier);
        BEGIN
            INSERT INTO apikey.key (prefix, verifier, tag, name, owner, auth, allowed_ips, expires_at, tenant, metadata)
            VALUES (prefix, verifier, tag, name, owner, auth,
                    CASE WHEN ip IS NULL THEN ips ELSE ARRAY[ip] END, expires_at, tenant, metadata);
            RETURN key;
        EXCEPTION
            WHEN unique_violation THEN
                GET STACKED DIAGNOSTICS broken = CONSTRAINT_NAME;
                IF broken <> 'key_pkey' THEN
                    RAISE EXCEPTION USING
                        ERRCODE = 'unique_violation',
                        MESSAGE = format('no API key was created: %L already has a live key named %L', owner, name),
                        HINT = 'Choose another name, or revoke that key with apikey_revoke.';
                END IF;
            -- Postgres's own detail of these two would show the whole row, with its verifier.
            WHEN check_violation THEN
                GET STACKED DIAGNOSTICS broken = CONSTRAINT_NAME;
                RAISE EXCEPTION USING
                    ERRCODE = 'check_violation',
                    MESSAGE = format('no API key was created: it would break the rule %I', broken),
                    HINT = (SELECT obj_description(c.oid, 'pg_constraint') FROM pg_constraint AS c
                             WHERE c.conrelid = 'apikey.key'::regclass AND c.conname = broken);
            WHEN not_null_violation THEN
                GET STACKED DIAGNOSTICS broken = COLUMN_NAME;
                RAISE EXCEPTION USING
                    ERRCODE = 'null_value_not_allowed',
                    MESSAGE = format('no API key was created: %I is NULL', broken),
                    HINT = format('Give a value for %I.', broken);
        END;
    END LOOP;
    RAISE EXCEPTION USING
        ERRCODE = 'unique_violation',
        MESSAGE = 'no API key was created: every prefix that was drawn is taken',
        HINT = 'Look at the triggers on apikey.key, and at the server''s random source.';
END
$$;

CREATE OR REPLACE FUNCTION @extschema@.apikey_rotate(key text, grace interval DEFAULT '0') RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    named        CONSTANT text := apikey.find_prefix(key);
    old          apikey.key;
    unfit        text;
    fresh        text;
    new_prefix   text;
    new_verifier text;
    new_tag      integer;
BEGIN
    IF grace IS NULL OR grace < interval '0' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'no API key was rotated: the grace is negative or NULL',
            HINT = 'Give the time for which the old key stays valid, such as ''1 day''; ''0'' ends it at once.';
    END IF;
    -- Of two rotations at once, the second waits here for the first, and then finds the key replaced.
    SELECT * INTO old FROM apikey.key AS k WHERE k.prefix = named FOR UPDATE;
    unfit := CASE
        WHEN old.prefix IS NULL THEN 'deleted'
        WHEN old.replaced_by IS NOT NULL THEN 'rotated already'
        WHEN old.revoked_at IS NOT NULL THEN 'revoked'
        WHEN old.expires_at <= clock_timestamp() THEN 'expired'
        WHEN old.disabled_at IS NOT NULL THEN 'disabled'
    END;
    IF unfit IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = format('API key %s cannot be rotated: it is %s', named, unfit),
            HINT = 'Only a valid key is rotated. Create a new one with apikey_create, or rotate the key that replaced this one.';
    END IF;

    LOOP
        fresh := apikey.generate_key();
        new_prefix := split_part(fresh, '.', 1);
        EXIT WHEN NOT EXISTS (SELECT FROM apikey.key AS k WHERE k.prefix = new_prefix);
    END LOOP;
    new_verifier := apikey.make_verifier(fresh);
    new_tag := apikey.make_tag(fresh, new_verifier);

    UPDATE apikey.key AS k
       SET replaced_by = new_prefix,
           expires_at = CASE WHEN grace > interval '0' THEN least(k.expires_at, clock_timestamp() + grace) ELSE k.expires_at END,
           revoked_at = CASE WHEN grace > interval '0' THEN NULL ELSE clock_timestamp() END,
           revoke_reason = CASE WHEN grace > interval '0' THEN NULL ELSE 'rotated' END
     WHERE k.prefix = named;
    -- The same identity, and as long a life as the old key was given.
    INSERT INTO apikey.key (prefix, verifier, tag, name, owner, auth, allowed_ips, expires_at, tenant, metadata)
    VALUES (new_prefix, new_verifier, new_tag, old.name, old.owner, old.auth, old.allowed_ips,
            CASE WHEN isfinite(old.expires_at) THEN now() + (old.expires_at - old.created_at) END,
            old.tenant, old.metadata);
    RETURN fresh;
END
$$;

------------------------------------------------------------------------------------------------------
-- Checking a key
------------------------------------------------------------------------------------------------------

-- These read apikey.key by its primary key's index and ask for nobody's rights on it: EXECUTE here is the
-- right to check. They run no query whose names a search_path could change, but for one case, in which they
-- act as the table's owner under a safe search_path: the first check of a key whose hash is not of the cost
-- that is set (or is Django's) stores a new hash, where it may write; so they are VOLATILE. Any other check
-- writes nothing and takes no transaction id.
CREATE OR REPLACE FUNCTION @extschema@.apikey_check(key text, ip inet) RETURNS json
LANGUAGE c VOLATILE PARALLEL UNSAFE CALLED ON NULL INPUT SECURITY INVOKER
AS 'MODULE_PATHNAME', 'apikey_check_wrapper';
COMMENT ON FUNCTION @extschema@.apikey_check(text, inet) IS 'What a valid key may do and whether it may from this address: {"auth":…,"ip_request":"…","ip_valid":…}. NULL for a key that is not valid, whatever is wrong with it';

CREATE OR REPLACE FUNCTION @extschema@.apikey_check(key text, ip inet, tenant text) RETURNS json
LANGUAGE c VOLATILE PARALLEL UNSAFE CALLED ON NULL INPUT SECURITY INVOKER
AS 'MODULE_PATHNAME', 'check_in_tenant_wrapper';
COMMENT ON FUNCTION @extschema@.apikey_check(text, inet, text) IS 'The same for the keys of one tenant: another tenant''s key is not valid';

-- A question about a key is no use of it.
ALTER FUNCTION @extschema@.apikey_explain(text, inet, text) SET apikey.track_usage = off;

------------------------------------------------------------------------------------------------------
-- Looking at keys
------------------------------------------------------------------------------------------------------

CREATE OR REPLACE VIEW @extschema@.apikeys AS
SELECT k.prefix,
       k.name,
       k.owner,
       CASE
           WHEN k.revoked_at IS NOT NULL THEN 'revoked'
           WHEN k.expires_at <= clock_timestamp() THEN 'expired'
           WHEN k.disabled_at IS NOT NULL THEN 'disabled'
           WHEN k.replaced_by IS NOT NULL THEN 'rotating'
           WHEN k.expires_at <= clock_timestamp() + interval '7 days' THEN 'expiring'
           ELSE 'active'
       END AS status,
       k.auth,
       k.allowed_ips,
       k.created_at,
       k.created_by,
       k.expires_at,
       k.disabled_at,
       k.revoked_at,
       k.revoked_by,
       k.revoke_reason,
       k.tenant,
       k.metadata,
       k.replaced_by,
       greatest(u.last_used_at, m.last_used_at) AS last_used_at,
       CASE
           WHEN m.last_used_at >= coalesce(u.last_used_at, '-infinity') THEN m.last_used_ip
           ELSE u.last_used_ip
       END AS last_used_ip,
       -- What is stored, and what memory has beyond it.
       coalesce(u.accepted, 0)
           + coalesce(m.accepted - CASE WHEN u.slot = m.slot THEN u.slot_accepted ELSE 0 END, 0) AS accepted,
       coalesce(u.refused, 0)
           + coalesce(m.refused - CASE WHEN u.slot = m.slot THEN u.slot_refused ELSE 0 END, 0) AS refused
  FROM apikey.key AS k
  LEFT JOIN apikey.usage AS u ON u.prefix = k.prefix
  LEFT JOIN apikey.usage_in_memory() AS m ON m.prefix = k.prefix;
COMMENT ON VIEW @extschema@.apikeys IS 'Everything about each API key but its hash';
COMMENT ON COLUMN @extschema@.apikeys.prefix IS 'The public half of the key, which names it';
COMMENT ON COLUMN @extschema@.apikeys.name IS 'What the key is for';
COMMENT ON COLUMN @extschema@.apikeys.owner IS 'Whose key it is';
COMMENT ON COLUMN @extschema@.apikeys.status IS 'active, expiring (within 7 days) and rotating (replaced, in its grace) keys are valid; disabled, expired and revoked ones are not';
COMMENT ON COLUMN @extschema@.apikeys.auth IS 'What the key may do';
COMMENT ON COLUMN @extschema@.apikeys.allowed_ips IS 'Addresses and networks that the key may be used from; NULL: from anywhere';
COMMENT ON COLUMN @extschema@.apikeys.created_at IS 'When the key was created';
COMMENT ON COLUMN @extschema@.apikeys.created_by IS 'The role that logged in to create the key';
COMMENT ON COLUMN @extschema@.apikeys.expires_at IS 'When the key stops being valid; NULL: never';
COMMENT ON COLUMN @extschema@.apikeys.disabled_at IS 'When the key was disabled; NULL: it is not';
COMMENT ON COLUMN @extschema@.apikeys.revoked_at IS 'When the key was revoked; NULL: it is not';
COMMENT ON COLUMN @extschema@.apikeys.revoked_by IS 'The role that logged in to revoke the key';
COMMENT ON COLUMN @extschema@.apikeys.revoke_reason IS 'Why the key was revoked';
COMMENT ON COLUMN @extschema@.apikeys.tenant IS 'The tenant that the key is valid in';
COMMENT ON COLUMN @extschema@.apikeys.metadata IS 'Whatever else applications want to know about the key';
COMMENT ON COLUMN @extschema@.apikeys.replaced_by IS 'Prefix of the key that took its place in a rotation';
COMMENT ON COLUMN @extschema@.apikeys.last_used_at IS 'When the key was accepted last; NULL: never';
COMMENT ON COLUMN @extschema@.apikeys.last_used_ip IS 'The address that the key was accepted from last; NULL: unknown';
COMMENT ON COLUMN @extschema@.apikeys.accepted IS 'How often the key was valid and came from a right address';
COMMENT ON COLUMN @extschema@.apikeys.refused IS 'How often the key was refused: wrong secret, address or tenant, revoked, expired or disabled';

------------------------------------------------------------------------------------------------------
-- Watching checks
------------------------------------------------------------------------------------------------------

CREATE FUNCTION apikey.stats(OUT name text, OUT value bigint) RETURNS SETOF record
LANGUAGE c VOLATILE PARALLEL UNSAFE STRICT SECURITY INVOKER
AS 'MODULE_PATHNAME', 'stats_wrapper';
COMMENT ON FUNCTION apikey.stats() IS 'What the checks came to: of the whole server since it started, or of this connection where apikey is not preloaded';

CREATE VIEW @extschema@.apikey_stats AS
SELECT s.name, s.value FROM apikey.stats() AS s;
COMMENT ON VIEW @extschema@.apikey_stats IS 'What the checks of API keys came to: of the whole server since it started, or of this connection where apikey is not preloaded';
COMMENT ON COLUMN @extschema@.apikey_stats.name IS 'accepted and wrong_address: checks of valid keys. malformed, unknown_prefix, wrong_secret, wrong_tenant, revoked, disabled, expired: refused ones. proof_hits, proof_misses, proof_evictions: whether the proof that a key matches its hash was in memory. hashes: runs of a slow hash; hash_waits: how many of these waited for their turn. usage_dropped: uses that were not counted for their key, for want of room. preloaded: 1 where the numbers are of the whole server';
COMMENT ON COLUMN @extschema@.apikey_stats.value IS 'How often';

------------------------------------------------------------------------------------------------------
-- Nothing more is granted to anybody
------------------------------------------------------------------------------------------------------

-- As in a fresh install, but of the new objects alone: the grants on the others are somebody's decision.
DO $$
DECLARE
    granted record;
BEGIN
    FOR granted IN
        WITH member AS (
            SELECT d.classid, d.objid
              FROM pg_depend AS d
              JOIN pg_extension AS e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
             WHERE e.extname = 'apikey' AND d.deptype = 'e'
        ), object AS (
            SELECT 'FUNCTION' AS kind, o.oid::regprocedure::text AS name, o.proowner AS owner,
                   coalesce(o.proacl, acldefault('f', o.proowner)) AS acl
              FROM member AS m JOIN pg_proc AS o ON m.classid = 'pg_proc'::regclass AND m.objid = o.oid
            UNION ALL
            SELECT 'TABLE', o.oid::regclass::text, o.relowner, o.relacl
              FROM member AS m JOIN pg_class AS o ON m.classid = 'pg_class'::regclass AND m.objid = o.oid
             WHERE o.relkind IN ('r', 'v')
        )
        SELECT DISTINCT o.kind, o.name, CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END AS grantee
          FROM object AS o CROSS JOIN aclexplode(o.acl) AS a
         WHERE a.grantee <> o.owner
           AND (o.kind, o.name) IN (
                   ('FUNCTION', 'apikey.forget_tag()'), ('FUNCTION', 'apikey.make_tag(text,text)'),
                   ('FUNCTION', 'apikey.stats()'), ('TABLE', '@extschema@.apikey_stats'::regclass::text),
                   ('FUNCTION', 'apikey.forget_usage()'), ('FUNCTION', 'apikey.usage_in_memory()'),
                   ('TABLE', 'apikey.usage'))
    LOOP
        EXECUTE format('REVOKE ALL ON %s %s FROM %s CASCADE', granted.kind, granted.name, granted.grantee);
    END LOOP;
END
$$;

-- Whoever could read the view apikeys, or a view on it, goes on reading it. Postgres asks for EXECUTE on the
-- functions in a view whoever reads it. It takes a grant in an extension's script for the script's own, which
-- pg_dump leaves to CREATE EXTENSION: these are somebody's, and shall be dumped.
DO $$
DECLARE
    granted record;
BEGIN
    FOR granted IN
        WITH RECURSIVE reading (view) AS (
            SELECT '@extschema@.apikeys'::regclass::oid
            UNION
            SELECT r.ev_class
              FROM reading AS v
              JOIN pg_depend AS d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = v.view
               AND d.classid = 'pg_rewrite'::regclass
              JOIN pg_rewrite AS r ON r.oid = d.objid
        ), acl AS (
            SELECT c.oid AS view, c.relowner AS owner, c.relacl AS acl FROM pg_class AS c
            UNION ALL
            SELECT c.oid, c.relowner, a.attacl FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
        )
        SELECT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END AS grantee,
               CASE WHEN bool_or(a.is_grantable) THEN ' WITH GRANT OPTION' END AS option
          FROM reading JOIN acl USING (view) CROSS JOIN aclexplode(acl.acl) AS a
         WHERE a.privilege_type = 'SELECT'
           AND a.grantee <> (SELECT p.proowner FROM pg_proc AS p WHERE p.oid = 'apikey.usage_in_memory()'::regprocedure)
         GROUP BY a.grantee
    LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION apikey.usage_in_memory() TO %s%s', granted.grantee, granted.option);
    END LOOP;

    UPDATE pg_init_privs AS i
       SET initprivs = ARRAY[makeaclitem(p.proowner, p.proowner, 'EXECUTE', false)]
      FROM pg_proc AS p
     WHERE i.classoid = 'pg_proc'::regclass AND i.objoid = p.oid AND p.oid = 'apikey.usage_in_memory()'::regprocedure;
    -- Which roles stand there, noted by Postgres 17 and later.
    DELETE FROM pg_shdepend AS d
     WHERE d.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
       AND d.classid = 'pg_proc'::regclass AND d.deptype = 'i'
       AND d.objid = 'apikey.usage_in_memory()'::regprocedure;
END
$$;
