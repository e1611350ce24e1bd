-- apikey 0.3.0 to 0.4.0. What is new is the same text as in apikey--0.4.0.sql; what changes stands here first.

\echo Use "ALTER EXTENSION apikey UPDATE" to load this file. \quit

-- Names below are found in pg_catalog, or written in full.
SET LOCAL search_path = pg_catalog, pg_temp;

-- Set for a database by its owner, this would make other rules of the patterns below.
DO $$
BEGIN
    IF current_setting('standard_conforming_strings') <> 'on' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = 'apikey is not updated while standard_conforming_strings is off',
            HINT = 'SET standard_conforming_strings = on, and do this again.';
    END IF;
END
$$;

------------------------------------------------------------------------------------------------------
-- One function that does it, in a schema where nobody else creates any
------------------------------------------------------------------------------------------------------

CREATE FUNCTION apikey.create_key(
    name       text,
    auth       jsonb,
    ip         inet,
    ips        inet[],
    owner      text,
    expires_at timestamptz,
    tenant     text,
    metadata   jsonb
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
COMMENT ON FUNCTION apikey.create_key(text, jsonb, inet, inet[], text, timestamptz, text, jsonb) IS 'What apikey_create does, for callers that name a function of this schema';

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
LANGUAGE sql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
RETURN apikey.create_key(name, auth, ip, ips, owner, expires_at, tenant, metadata);

CREATE OR REPLACE FUNCTION @extschema@.apikey_create(
    name       text,
    auth       text,
    ip         inet        DEFAULT NULL,
    ips        inet[]      DEFAULT NULL,
    owner      text        DEFAULT NULL,
    expires_at timestamptz DEFAULT NULL,
    tenant     text        DEFAULT NULL,
    metadata   jsonb       DEFAULT NULL
) RETURNS text
LANGUAGE sql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
RETURN apikey.create_key(name, to_jsonb(auth), ip, ips, owner, expires_at, tenant, metadata);

-- From here on, a function that is given a key and calls another one is in PL/pgSQL and does nothing but that: a
-- call by RETURN there is no statement. A function in SQL would have the key among the parameters of one.

CREATE FUNCTION apikey.revoke_key(key text, reason text) RETURNS boolean
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    named CONSTANT text := apikey.find_prefix(key);
BEGIN
    UPDATE apikey.key AS k
       SET revoked_at = clock_timestamp(),
           revoke_reason = nullif(btrim(reason), '')
     WHERE k.prefix = named AND k.revoked_at IS NULL;
    RETURN FOUND;
END
$$;
COMMENT ON FUNCTION apikey.revoke_key(text, text) IS 'What apikey_revoke does, for callers that name a function of this schema';

CREATE OR REPLACE FUNCTION @extschema@.apikey_revoke(key text, reason text DEFAULT NULL) RETURNS boolean
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN apikey.revoke_key(key, reason);
END
$$;

CREATE FUNCTION apikey.disable_key(key text) RETURNS boolean
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    named CONSTANT text := apikey.find_prefix(key);
BEGIN
    UPDATE apikey.key AS k
       SET disabled_at = greatest(clock_timestamp(), k.created_at)
     WHERE k.prefix = named AND k.disabled_at IS NULL;
    RETURN FOUND;
END
$$;
COMMENT ON FUNCTION apikey.disable_key(text) IS 'What apikey_disable does, for callers that name a function of this schema';

CREATE OR REPLACE FUNCTION @extschema@.apikey_disable(key text) RETURNS boolean
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN apikey.disable_key(key);
END
$$;

CREATE FUNCTION apikey.enable_key(key text) RETURNS boolean
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    named CONSTANT text := apikey.find_prefix(key);
BEGIN
    UPDATE apikey.key AS k
       SET disabled_at = NULL
     WHERE k.prefix = named AND k.disabled_at IS NOT NULL;
    RETURN FOUND;
END
$$;
COMMENT ON FUNCTION apikey.enable_key(text) IS 'What apikey_enable does, for callers that name a function of this schema';

CREATE OR REPLACE FUNCTION @extschema@.apikey_enable(key text) RETURNS boolean
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN apikey.enable_key(key);
END
$$;

CREATE FUNCTION apikey.rotate_key(key text, grace interval) RETURNS text
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
COMMENT ON FUNCTION apikey.rotate_key(text, interval) IS 'What apikey_rotate does, for callers that name a function of this schema';

CREATE OR REPLACE FUNCTION @extschema@.apikey_rotate(key text, grace interval DEFAULT '0') RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN apikey.rotate_key(key, grace);
END
$$;

CREATE FUNCTION apikey.check_key(key text, ip inet, tenant text) RETURNS json
LANGUAGE c VOLATILE PARALLEL UNSAFE CALLED ON NULL INPUT SECURITY INVOKER
AS 'MODULE_PATHNAME', 'check_in_tenant_wrapper';
COMMENT ON FUNCTION apikey.check_key(text, inet, text) IS 'What apikey_check does, for callers that name a function of this schema';

CREATE FUNCTION apikey.authorize_key(key text, ip inet, scope text, tenant text)
RETURNS @extschema@.apikey_decision
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    -- By assignment, so that no statement below has the key among its parameters.
    answer CONSTANT json := apikey.check_key(key, ip, tenant);
    named  CONSTANT text := CASE WHEN answer IS NOT NULL THEN split_part(key, '.', 1) END;
    reason text := 'invalid_key';
    k      apikey.key;
BEGIN
    SELECT * INTO k FROM apikey.key AS known WHERE known.prefix = named;
    IF k.prefix IS NOT NULL THEN
        reason := CASE
            WHEN NOT (answer ->> 'ip_valid')::boolean THEN 'wrong_address'
            WHEN scope IS NOT NULL AND NOT apikey.grants(k.auth, scope) THEN 'missing_scope'
            ELSE 'ok'
        END;
    END IF;
    RETURN (reason = 'ok', reason, k.prefix, k.name, k.owner, k.auth, k.metadata, k.tenant);
END
$$;
COMMENT ON FUNCTION apikey.authorize_key(text, inet, text, text) IS 'What apikey_authorize does, for callers that name a function of this schema';

CREATE OR REPLACE FUNCTION @extschema@.apikey_authorize(key text, ip inet, scope text DEFAULT NULL, tenant text DEFAULT '')
RETURNS @extschema@.apikey_decision
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN apikey.authorize_key(key, ip, scope, tenant);
END
$$;

CREATE FUNCTION apikey.explain_key(key text, ip inet, tenant text) RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET apikey.track_usage = off -- a question about a key is no use of it
AS $$
DECLARE
    named CONSTANT text := split_part(key, '.', 1);
    k     apikey.key;
BEGIN
    IF key IS NULL OR key !~ '^[A-Za-z0-9]{8}[.][A-Za-z0-9]{32}$' THEN
        RETURN 'refused: malformed. A key is PREFIX.SECRET: 8 and 32 characters of A-Z, a-z and 0-9';
    END IF;
    SELECT * INTO k FROM apikey.key AS known WHERE known.prefix = named;
    RETURN CASE
        WHEN k.prefix IS NULL THEN
            format('refused: unknown prefix. There is no key %s', named)
        WHEN NOT apikey.matches(key, k.verifier) THEN
            format('refused: wrong secret. There is a key %s, and this is not it', named)
        WHEN k.tenant <> coalesce(tenant, '') THEN
            format('refused: wrong tenant. The key is valid in %L alone', k.tenant)
        WHEN k.revoked_at IS NOT NULL THEN
            format('refused: revoked at %s by %s%s%s', k.revoked_at, k.revoked_by, ': ' || k.revoke_reason,
                   '. It was replaced by ' || k.replaced_by)
        WHEN k.expires_at <= clock_timestamp() THEN
            format('refused: expired at %s%s', k.expires_at, '. It was replaced by ' || k.replaced_by)
        WHEN k.disabled_at IS NOT NULL THEN
            format('refused: disabled at %s. apikey_enable makes it valid again', k.disabled_at)
        WHEN NOT (apikey.check_key(key, ip, tenant) ->> 'ip_valid')::boolean THEN
            format('refused: wrong address. %s is in none of %s', coalesce(host(ip), 'An unknown address'),
                   array_to_string(k.allowed_ips, ', '))
        ELSE 'accepted'
    END;
END
$$;
COMMENT ON FUNCTION apikey.explain_key(text, inet, text) IS 'What apikey_explain does, for callers that name a function of this schema';

CREATE OR REPLACE FUNCTION @extschema@.apikey_explain(key text, ip inet, tenant text DEFAULT '') RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN apikey.explain_key(key, ip, tenant);
END
$$;

CREATE OR REPLACE FUNCTION @extschema@.apikey_login(key text, ip inet, tenant text DEFAULT '') RETURNS boolean
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    decision CONSTANT @extschema@.apikey_decision := apikey.authorize_key(key, ip, NULL, tenant);
BEGIN
    PERFORM apikey.set_identity(CASE WHEN decision.allowed THEN decision.prefix END);
    RETURN decision.allowed;
END
$$;

-- Of the new functions, nothing that Postgres gives to PUBLIC or ALTER DEFAULT PRIVILEGES to anybody. Whoever may
-- execute a function that people call may execute the one that does its work, too, so that the shim and the admin
-- page go on: but for PUBLIC, and but for roles that may check keys without a tenant alone, or create levels alone,
-- for which that would be more than they have. It takes a grant in an extension's script for the script's own,
-- which pg_dump leaves to CREATE EXTENSION: these are somebody's, and shall be dumped.
DO $$
DECLARE
    work    record;
    granted record;
    schemas CONSTANT aclitem[] := (SELECT i.initprivs FROM pg_init_privs AS i
                                    WHERE i.classoid = 'pg_namespace'::regclass AND i.objoid = 'apikey'::regnamespace);
BEGIN
    FOR work IN
        SELECT w.done_by, w.called, p.proowner AS owner, called.proacl AS acl, p.proacl AS given
          FROM (VALUES
                   ('apikey.check_key(text,inet,text)'::regprocedure, '@extschema@.apikey_check(text,inet,text)'::regprocedure),
                   ('apikey.authorize_key(text,inet,text,text)', '@extschema@.apikey_authorize(text,inet,text,text)'),
                   ('apikey.create_key(text,jsonb,inet,inet[],text,timestamptz,text,jsonb)',
                    '@extschema@.apikey_create(text,jsonb,inet,inet[],text,timestamptz,text,jsonb)'),
                   ('apikey.rotate_key(text,interval)', '@extschema@.apikey_rotate(text,interval)'),
                   ('apikey.disable_key(text)', '@extschema@.apikey_disable(text)'),
                   ('apikey.enable_key(text)', '@extschema@.apikey_enable(text)'),
                   ('apikey.revoke_key(text,text)', '@extschema@.apikey_revoke(text,text)'),
                   ('apikey.explain_key(text,inet,text)', '@extschema@.apikey_explain(text,inet,text)')) AS w (done_by, called)
          JOIN pg_proc AS p ON p.oid = w.done_by
          JOIN pg_proc AS called ON called.oid = w.called
    LOOP
        FOR granted IN
            SELECT DISTINCT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END AS grantee
              FROM aclexplode(coalesce(work.given, acldefault('f', work.owner))) AS a
             WHERE a.grantee <> work.owner
        LOOP
            EXECUTE format('REVOKE ALL ON FUNCTION %s FROM %s CASCADE', work.done_by, granted.grantee);
        END LOOP;
        FOR granted IN
            SELECT a.grantee::regrole AS grantee, CASE WHEN bool_or(a.is_grantable) THEN ' WITH GRANT OPTION' END AS option
              FROM aclexplode(coalesce(work.acl, acldefault('f', work.owner))) AS a
             WHERE a.privilege_type = 'EXECUTE' AND a.grantee NOT IN (0, work.owner)
             GROUP BY a.grantee
        LOOP
            EXECUTE format('GRANT USAGE ON SCHEMA apikey TO %s', granted.grantee);
            EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %s%s', work.done_by, granted.grantee, granted.option);
        END LOOP;

        UPDATE pg_init_privs AS i
           SET initprivs = ARRAY[makeaclitem(work.owner, work.owner, 'EXECUTE', false)]
         WHERE i.classoid = 'pg_proc'::regclass AND i.objoid = work.done_by;
        -- Which roles stand there, noted by Postgres 17 and later.
        DELETE FROM pg_shdepend AS d
         WHERE d.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
           AND d.classid = 'pg_proc'::regclass AND d.objid = work.done_by AND d.deptype = 'i';
    END LOOP;

    IF schemas IS NULL THEN
        DELETE FROM pg_init_privs AS i
         WHERE i.classoid = 'pg_namespace'::regclass AND i.objoid = 'apikey'::regnamespace;
    ELSE
        UPDATE pg_init_privs AS i
           SET initprivs = schemas
         WHERE i.classoid = 'pg_namespace'::regclass AND i.objoid = 'apikey'::regnamespace;
    END IF;
    DELETE FROM pg_shdepend AS d
     WHERE d.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
       AND d.classid = 'pg_namespace'::regclass AND d.objid = 'apikey'::regnamespace AND d.deptype = 'i';
END
$$;
