-- apikey 0.3.0 to 0.4.0. What is new is the same text as in apikey--0.4.0.sql; what changes stands
-- here first.

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

----------------------------------------------------------------------------------------------------
-- Whether a key has ended
----------------------------------------------------------------------------------------------------

-- Decided by this one function, which a check calls, too: for all that is shown of a key, and done
-- to it.
CREATE FUNCTION apikey.ended(revoked_at timestamptz, expires_at timestamptz, disabled_at timestamptz) RETURNS text
LANGUAGE c VOLATILE PARALLEL SAFE CALLED ON NULL INPUT SECURITY INVOKER
AS 'MODULE_PATHNAME', 'ended_wrapper';
COMMENT ON FUNCTION apikey.ended(timestamptz, timestamptz, timestamptz) IS 'How the key of a row with these times has ended by now: revoked, expired or disabled, the first that is true; NULL: it is live. Whoever reads the view apikeys needs EXECUTE on it';

CREATE OR REPLACE FUNCTION @extschema@.apikey_current() RETURNS @extschema@.apikey_identity
LANGUAGE sql STABLE PARALLEL RESTRICTED SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT k.prefix, k.name, k.owner, k.auth, k.metadata, k.tenant
      FROM apikey.key AS k
     WHERE k.prefix = apikey.identity()
       AND apikey.ended(k.revoked_at, k.expires_at, k.disabled_at) IS NULL;
END;

----------------------------------------------------------------------------------------------------
-- One function that does it, in a schema where nobody else creates any
----------------------------------------------------------------------------------------------------

-- What looks like a key is decided by the function that a check calls.
CREATE FUNCTION apikey.prefix_of(key text) RETURNS text
LANGUAGE c IMMUTABLE PARALLEL SAFE STRICT SECURITY INVOKER
AS 'MODULE_PATHNAME', 'prefix_of_wrapper';
COMMENT ON FUNCTION apikey.prefix_of(text) IS 'The prefix of a key; NULL for text that is none, whatever it is';

CREATE FUNCTION apikey.draw_key(OUT key text, OUT prefix text, OUT verifier text, OUT tag integer) RETURNS record
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- By assignment, here and where this is called: no statement has the key among its parameters.
    key := apikey.generate_key();
    prefix := apikey.prefix_of(key);
    verifier := apikey.make_verifier(key);
    tag := apikey.make_tag(key, verifier);
END
$$;
COMMENT ON FUNCTION apikey.draw_key() IS 'A new key, and what a row has of it. Stores nothing';

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
    fresh  record;
    broken text;
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
        fresh := apikey.draw_key();
        BEGIN
            INSERT INTO apikey.key (prefix, verifier, tag, name, owner, auth, allowed_ips, expires_at, tenant, metadata)
            VALUES (fresh.prefix, fresh.verifier, fresh.tag, name, owner, auth,
                    CASE WHEN ip IS NULL THEN ips ELSE ARRAY[ip] END, expires_at, tenant, metadata);
            RETURN fresh.key;
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

-- From here on, a function that is given a key and calls another one is in PL/pgSQL and does
-- nothing but that: a call by RETURN there is no statement. A function in SQL would have the key
-- among the parameters of one.

CREATE FUNCTION apikey.revoke_key(key text, reason text) RETURNS boolean
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    named CONSTANT text COLLATE "C" := apikey.find_prefix(key);
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
    named CONSTANT text COLLATE "C" := apikey.find_prefix(key);
BEGIN
    UPDATE apikey.key AS k
       SET disabled_at = greatest(clock_timestamp(), k.created_at)
     WHERE k.prefix = named AND k.disabled_at IS NULL AND k.revoked_at IS NULL;
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
    named CONSTANT text COLLATE "C" := apikey.find_prefix(key);
    k     apikey.key;
    ended text;
BEGIN
    SELECT * INTO k FROM apikey.key AS known WHERE known.prefix = named FOR UPDATE;
    ended := apikey.ended(k.revoked_at, k.expires_at, k.disabled_at);
    IF ended = 'revoked' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = format('API key %s cannot be enabled: it is revoked', named),
            HINT = 'Create a new key with apikey_create.';
    END IF;
    UPDATE apikey.key AS known SET disabled_at = NULL WHERE known.prefix = named AND known.disabled_at IS NOT NULL;
    IF FOUND AND ended = 'expired' THEN
        RAISE WARNING USING
            MESSAGE = format('API key %s is enabled, and goes on being refused: it expired at %s', named, k.expires_at),
            HINT = format('UPDATE apikey.key SET expires_at = NULL WHERE prefix = %L makes it valid again.', named);
        RETURN true;
    END IF;
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
    named   CONSTANT text COLLATE "C" := apikey.find_prefix(key);
    old     apikey.key;
    ends_at timestamptz;
    unfit   text;
    fresh   record;
BEGIN
    IF grace IS NULL OR grace < interval '0' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'no API key was rotated: the grace is negative or NULL',
            HINT = 'Give the time for which the old key stays valid, such as ''1 day''; ''0'' ends it at once.';
    END IF;
    -- Of two rotations at once, the second waits here for the first, and then finds the key
    -- replaced.
    SELECT * INTO old FROM apikey.key AS k WHERE k.prefix = named FOR UPDATE;
    unfit := CASE
        WHEN old.prefix IS NULL THEN 'deleted'
        WHEN old.replaced_by IS NOT NULL THEN 'rotated already'
        ELSE apikey.ended(old.revoked_at, old.expires_at, old.disabled_at)
    END;
    IF unfit IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = format('API key %s cannot be rotated: it is %s', named, unfit),
            HINT = 'Only a valid key is rotated. Create a new one with apikey_create, or rotate the key that replaced this one.';
    END IF;

    -- No interval is too long, and none of months and days ends before it began.
    ends_at := CASE
        WHEN grace > interval '1000 years' THEN 'infinity'
        ELSE greatest(clock_timestamp(), clock_timestamp() + grace)
    END;
    -- A clock was wrong: no key is older than its creation.
    old.created_at := least(old.created_at, clock_timestamp());

    LOOP
        fresh := apikey.draw_key();
        EXIT WHEN NOT EXISTS (SELECT FROM apikey.key AS k WHERE k.prefix = fresh.prefix);
    END LOOP;
    UPDATE apikey.key AS k
       SET replaced_by = fresh.prefix,
           created_at = old.created_at,
           expires_at = CASE WHEN grace > interval '0' THEN least(k.expires_at, ends_at) ELSE k.expires_at END,
           revoked_at = CASE WHEN grace > interval '0' THEN NULL ELSE clock_timestamp() END,
           revoke_reason = CASE WHEN grace > interval '0' THEN NULL ELSE 'rotated' END
     WHERE k.prefix = named;
    -- The same identity, and as long a life as the old key was given; where that cannot be
    -- reckoned, its end.
    INSERT INTO apikey.key (prefix, verifier, tag, name, owner, auth, allowed_ips, expires_at, tenant, metadata)
    VALUES (fresh.prefix, fresh.verifier, fresh.tag, old.name, old.owner, old.auth, old.allowed_ips,
            CASE
                WHEN old.created_at >= '0001-01-01' AND old.expires_at < '9999-01-01'
                    THEN now() + (old.expires_at - old.created_at)
                ELSE old.expires_at
            END,
            old.tenant, old.metadata);
    RETURN fresh.key;
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
LANGUAGE c VOLATILE PARALLEL SAFE CALLED ON NULL INPUT SECURITY INVOKER
AS 'MODULE_PATHNAME', 'check_in_tenant_wrapper';
COMMENT ON FUNCTION apikey.check_key(text, inet, text) IS 'What apikey_check does, for callers that name a function of this schema';

-- For callers that must not wait behind slow hashes, as the shim, which asks it first.
CREATE FUNCTION apikey.check_key_at_once(key text, ip inet, tenant text) RETURNS json
LANGUAGE c VOLATILE PARALLEL SAFE CALLED ON NULL INPUT SECURITY INVOKER
AS 'MODULE_PATHNAME', 'check_key_at_once_wrapper';
COMMENT ON FUNCTION apikey.check_key_at_once(text, inet, text) IS 'What apikey.check_key says, or {"needs_hash":true} where only a slow hash can tell, and then nothing is counted';

CREATE FUNCTION apikey.authorize_key(key text, ip inet, scope text, tenant text)
RETURNS @extschema@.apikey_decision
LANGUAGE c VOLATILE PARALLEL SAFE CALLED ON NULL INPUT SECURITY INVOKER
AS 'MODULE_PATHNAME', 'authorize_key_wrapper';
COMMENT ON FUNCTION apikey.authorize_key(text, inet, text, text) IS 'What apikey_authorize does, for callers that name a function of this schema';

CREATE FUNCTION apikey.authorize_key_at_once(key text, ip inet, scope text, tenant text)
RETURNS @extschema@.apikey_decision
LANGUAGE c VOLATILE PARALLEL SAFE CALLED ON NULL INPUT SECURITY INVOKER
AS 'MODULE_PATHNAME', 'authorize_key_at_once_wrapper';
COMMENT ON FUNCTION apikey.authorize_key_at_once(text, inet, text, text) IS 'What apikey.authorize_key says, or the reason needs_hash where only a slow hash can tell, and then nothing is counted';

CREATE OR REPLACE FUNCTION @extschema@.apikey_authorize(key text, ip inet, scope text DEFAULT NULL, tenant text DEFAULT '')
RETURNS @extschema@.apikey_decision
LANGUAGE c VOLATILE PARALLEL SAFE CALLED ON NULL INPUT SECURITY INVOKER
AS 'MODULE_PATHNAME', 'authorize_key_wrapper';

CREATE FUNCTION apikey.contains(network inet, address inet) RETURNS boolean
LANGUAGE c IMMUTABLE PARALLEL SAFE STRICT SECURITY INVOKER
AS 'MODULE_PATHNAME', 'contains_wrapper';
COMMENT ON FUNCTION apikey.contains(inet, inet) IS 'Whether the address lies in the network, as a check sees it: an IPv4-mapped address is the IPv4 address';

CREATE FUNCTION apikey.explain_key(key text, ip inet, tenant text) RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    named CONSTANT text COLLATE "C" := apikey.prefix_of(key);
    k     apikey.key;
    ended text;
BEGIN
    IF named IS NULL THEN
        RETURN 'refused: malformed. A key is PREFIX.SECRET: 8 and 32 characters of A-Z, a-z and 0-9; one that moved in, up to 8 and 128';
    END IF;
    SELECT * INTO k FROM apikey.key AS known WHERE known.prefix = named;
    ended := apikey.ended(k.revoked_at, k.expires_at, k.disabled_at);
    RETURN CASE
        WHEN k.prefix IS NULL THEN
            format('refused: unknown prefix. There is no key %s', named)
        WHEN NOT apikey.matches(key, k.verifier) THEN
            format('refused: wrong secret. There is a key %s, and this is not it', named)
        WHEN k.tenant <> coalesce(tenant, '') COLLATE "C" THEN
            format('refused: wrong tenant. The key is valid in %L alone', k.tenant)
        WHEN ended = 'revoked' THEN
            format('refused: revoked at %s by %s%s%s', k.revoked_at, k.revoked_by, ': ' || k.revoke_reason,
                   '. It was replaced by ' || k.replaced_by)
        WHEN ended = 'expired' THEN
            format('refused: expired at %s%s', k.expires_at, '. It was replaced by ' || k.replaced_by)
        WHEN ended = 'disabled' THEN
            format('refused: disabled at %s. apikey_enable makes it valid again', k.disabled_at)
        -- Not by a check, which would count: a question about a key is no use of it.
        WHEN k.allowed_ips IS NOT NULL AND NOT EXISTS (SELECT FROM unnest(k.allowed_ips) AS n WHERE apikey.contains(n, ip)) THEN
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

----------------------------------------------------------------------------------------------------
-- Checks write nothing, and may run in parallel workers
----------------------------------------------------------------------------------------------------

ALTER FUNCTION @extschema@.apikey_check(text, inet) PARALLEL SAFE;
ALTER FUNCTION @extschema@.apikey_check(text, inet, text) PARALLEL SAFE;
ALTER FUNCTION apikey.matches(text, text) PARALLEL SAFE;

----------------------------------------------------------------------------------------------------
-- Rules that explain themselves, in any locale
----------------------------------------------------------------------------------------------------

-- Each constraint is made anew, over the rows that there are: no row that the old rules took is
-- refused by the new ones. The index of live names is built anew, since its order was that of the
-- database's locale. While this goes on, checks wait.

CREATE FUNCTION apikey.refuse_row(rule text) RETURNS boolean
LANGUAGE plpgsql VOLATILE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    named text;
    said  text;
BEGIN
    SELECT r.relname, obj_description(c.oid, 'pg_constraint') INTO named, said
      FROM pg_constraint AS c JOIN pg_class AS r ON r.oid = c.conrelid
     WHERE c.connamespace = 'apikey'::regnamespace AND c.conname = rule;
    RAISE EXCEPTION USING
        ERRCODE = 'check_violation',
        MESSAGE = format('the row would break the rule "%s"', rule),
        HINT = coalesce(said, 'See the constraints of the table.'),
        SCHEMA = 'apikey',
        TABLE = coalesce(named, ''),
        CONSTRAINT = rule;
END
$$;
COMMENT ON FUNCTION apikey.refuse_row(text) IS 'Refuses a row that breaks a rule, with the comment on the rule as hint; whoever writes rows needs EXECUTE on it';

ALTER TABLE apikey.key
    DROP CONSTRAINT prefix_shape,
    DROP CONSTRAINT verifier_shape,
    DROP CONSTRAINT name_not_blank,
    DROP CONSTRAINT owner_not_blank,
    DROP CONSTRAINT auth_shape,
    DROP CONSTRAINT allowed_ips_not_empty,
    DROP CONSTRAINT tenant_shape,
    DROP CONSTRAINT metadata_is_object,
    DROP CONSTRAINT replaced_by_shape,
    DROP CONSTRAINT tag_of_argon2id,
    DROP CONSTRAINT expires_after_creation,
    DROP CONSTRAINT disabled_after_creation,
    DROP CONSTRAINT revoked_after_creation,
    DROP CONSTRAINT revoked_details;
ALTER TABLE apikey.key
    ADD CONSTRAINT prefix_shape CHECK (
        prefix ~ '^[A-Za-z0-9_-]{1,8}$'
        OR apikey.refuse_row('prefix_shape')),
    ADD CONSTRAINT verifier_shape CHECK (
        verifier ~ '^\$argon2id\$v=19\$m=[0-9]{1,6},t=[0-9]{1,2},p=[0-9]{1,2}\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$'
        OR verifier ~ '^argon2\$argon2id\$v=19\$m=[0-9]{1,6},t=[0-9]{1,2},p=[0-9]{1,2}\$[A-Za-z0-9+/]{11,64}\$[A-Za-z0-9+/]{22,86}$'
        OR verifier ~ '^pbkdf2_sha256\$[0-9]{1,7}\$[A-Za-z0-9]{1,128}\$[A-Za-z0-9+/]{43}=$'
        OR verifier ~ '^sha512\$\$[0-9a-f]{128}$'
        OR apikey.refuse_row('verifier_shape')),
    ADD CONSTRAINT name_not_blank CHECK (
        name COLLATE "C" ~ '\S' AND length(name) <= 200
        OR apikey.refuse_row('name_not_blank')),
    ADD CONSTRAINT owner_not_blank CHECK (
        owner COLLATE "C" ~ '\S' AND length(owner) <= 200
        OR apikey.refuse_row('owner_not_blank')),
    ADD CONSTRAINT auth_shape CHECK (
        CASE jsonb_typeof(auth)
            WHEN 'string' THEN
                jsonb_path_exists(auth, '$ ? (@ like_regex "^[A-Za-z0-9_.:/-]{1,64}$")')
            WHEN 'array' THEN
                jsonb_array_length(auth) BETWEEN 1 AND 64
                AND NOT jsonb_path_exists(auth,
                    'strict $[*] ? (@.type() != "string" || !(@ like_regex "^[A-Za-z0-9_.:/-]{1,64}$"))')
            WHEN 'object' THEN
                jsonb_array_length(jsonb_path_query_array(auth, '$.keyvalue()')) BETWEEN 1 AND 64
                AND NOT jsonb_path_exists(auth,
                    '$.keyvalue() ? (@.value.type() != "boolean" || !(@.key like_regex "^[A-Za-z0-9_.:/-]{1,64}$"))')
            ELSE false
        END
        OR apikey.refuse_row('auth_shape')),
    ADD CONSTRAINT allowed_ips_not_empty CHECK (
        CASE
            WHEN allowed_ips IS NULL THEN true
            WHEN array_ndims(allowed_ips) = 1 THEN
                cardinality(allowed_ips) <= 64 AND array_position(allowed_ips, NULL) IS NULL
            ELSE false
        END
        OR apikey.refuse_row('allowed_ips_not_empty')),
    ADD CONSTRAINT tenant_shape CHECK (
        length(tenant) <= 200 AND tenant COLLATE "C" !~ '^\s|\s$'
        OR apikey.refuse_row('tenant_shape')),
    ADD CONSTRAINT metadata_is_object CHECK (
        jsonb_typeof(metadata) = 'object' AND length(metadata::text) <= 8192
        OR apikey.refuse_row('metadata_is_object')),
    ADD CONSTRAINT replaced_by_shape CHECK (
        replaced_by IS NULL
        OR replaced_by ~ '^[A-Za-z0-9]{8}$' AND replaced_by <> prefix
        OR apikey.refuse_row('replaced_by_shape')),
    ADD CONSTRAINT tag_of_argon2id CHECK (
        tag IS NULL OR verifier LIKE '$argon2id$%'
        OR apikey.refuse_row('tag_of_argon2id')),
    ADD CONSTRAINT expires_after_creation CHECK (
        expires_at IS NULL OR expires_at >= created_at
        OR apikey.refuse_row('expires_after_creation')),
    ADD CONSTRAINT disabled_after_creation CHECK (
        disabled_at IS NULL OR disabled_at >= created_at
        OR apikey.refuse_row('disabled_after_creation')),
    ADD CONSTRAINT revoked_after_creation CHECK (
        revoked_at IS NULL OR revoked_at >= created_at
        OR apikey.refuse_row('revoked_after_creation')),
    ADD CONSTRAINT revoked_details CHECK (
        (revoked_at IS NULL) = (revoked_by IS NULL) AND (revoked_at IS NOT NULL OR revoke_reason IS NULL)
        OR apikey.refuse_row('revoked_details'));
COMMENT ON CONSTRAINT prefix_shape ON apikey.key IS 'A prefix has 1 to 8 characters of A-Z a-z 0-9 _ -';
COMMENT ON CONSTRAINT verifier_shape ON apikey.key IS 'A verifier is an Argon2id PHC string, or one that djangorestframework-api-key stored: argon2$argon2id…, pbkdf2_sha256$… or sha512$$….';
COMMENT ON CONSTRAINT name_not_blank ON apikey.key IS 'A name has 1 to 200 characters, not all of them blank.';
COMMENT ON CONSTRAINT owner_not_blank ON apikey.key IS 'An owner has 1 to 200 characters, not all of them blank.';
COMMENT ON CONSTRAINT auth_shape ON apikey.key IS 'auth is one level (''event''), a list of 1 to 64 (''["event","ticket"]''::jsonb) or an object of 1 to 64 booleans (''{"event":true}''::jsonb), each named by 1 to 64 characters of A-Z a-z 0-9 _ . : / -';
COMMENT ON CONSTRAINT allowed_ips_not_empty ON apikey.key IS 'A list of networks has 1 to 64 entries, none of them NULL. For a key without an address rule, leave it NULL.';
COMMENT ON CONSTRAINT tenant_shape ON apikey.key IS 'A tenant has at most 200 characters, and no blank at either end. Leave it out if you have no tenants.';
COMMENT ON CONSTRAINT metadata_is_object ON apikey.key IS 'metadata is a JSON object, at most 8192 characters long.';
COMMENT ON CONSTRAINT replaced_by_shape ON apikey.key IS 'A key is replaced by another one, named by its prefix. Use apikey_rotate.';
COMMENT ON CONSTRAINT tag_of_argon2id ON apikey.key IS 'Only a key that was generated here has a tag. Leave it NULL.';
COMMENT ON CONSTRAINT expires_after_creation ON apikey.key IS 'A key expires after it was created. To end a key now, use apikey_revoke.';
COMMENT ON CONSTRAINT disabled_after_creation ON apikey.key IS 'A key is disabled after it was created.';
COMMENT ON CONSTRAINT revoked_after_creation ON apikey.key IS 'A key is revoked after it was created.';
COMMENT ON CONSTRAINT revoked_details ON apikey.key IS 'A revoked key says by whom; a key that is not revoked has no reason for it.';

ALTER TABLE apikey.scope
    DROP CONSTRAINT scope_name_shape,
    DROP CONSTRAINT scope_description_not_blank;
ALTER TABLE apikey.scope
    ADD CONSTRAINT scope_name_shape CHECK (
        name ~ '^[A-Za-z0-9_.:/-]{1,64}$'
        OR apikey.refuse_row('scope_name_shape')),
    ADD CONSTRAINT scope_description_not_blank CHECK (
        description COLLATE "C" ~ '\S'
        OR apikey.refuse_row('scope_description_not_blank'));
COMMENT ON CONSTRAINT scope_name_shape ON apikey.scope IS 'A scope has 1 to 64 characters of A-Z a-z 0-9 _ . : / -';
COMMENT ON CONSTRAINT scope_description_not_blank ON apikey.scope IS 'A description says something.';

ALTER TABLE apikey.event
    DROP CONSTRAINT event_action;
ALTER TABLE apikey.event
    ADD CONSTRAINT event_action CHECK (
        action IN ('create', 'import', 'change', 'rotate', 'disable', 'enable', 'revoke', 'delete')
        OR apikey.refuse_row('event_action'));
COMMENT ON CONSTRAINT event_action ON apikey.event IS 'The actions that there are.';

ALTER TABLE apikey.usage
    DROP CONSTRAINT usage_counts,
    DROP CONSTRAINT usage_address_of_a_use;
ALTER TABLE apikey.usage
    ADD CONSTRAINT usage_counts CHECK (
        accepted >= 0 AND refused >= 0 AND slot_accepted >= 0 AND slot_refused >= 0
        OR apikey.refuse_row('usage_counts')),
    ADD CONSTRAINT usage_address_of_a_use CHECK (
        last_used_at IS NOT NULL OR last_used_ip IS NULL
        OR apikey.refuse_row('usage_address_of_a_use'));
COMMENT ON CONSTRAINT usage_counts ON apikey.usage IS 'A count is not negative.';
COMMENT ON CONSTRAINT usage_address_of_a_use ON apikey.usage IS 'An address is that of a use.';

DROP INDEX apikey.key_tenant_owner_name_live;
CREATE UNIQUE INDEX key_tenant_owner_name_live
    ON apikey.key (tenant COLLATE "C", owner COLLATE "C", name COLLATE "C")
 WHERE revoked_at IS NULL AND replaced_by IS NULL;
COMMENT ON INDEX apikey.key_tenant_owner_name_live IS 'A name is unique among the live keys (not revoked, not replaced) of its owner in a tenant.';

CREATE FUNCTION apikey.refuse_missing_value() RETURNS trigger
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    -- Without the hash.
    new_row CONSTANT jsonb := to_jsonb(NEW) || jsonb_build_object('verifier', left(NEW.verifier, 0));
    missing text;
BEGIN
    SELECT a.attname INTO missing
      FROM pg_attribute AS a
     WHERE a.attrelid = TG_RELID AND a.attnotnull AND new_row -> a.attname = 'null'
     ORDER BY a.attnum LIMIT 1;
    IF missing IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'not_null_violation',
            MESSAGE = format('%I of an API key is NULL', missing),
            HINT = format('Give a value for %I.', missing),
            SCHEMA = TG_TABLE_SCHEMA,
            TABLE = TG_TABLE_NAME,
            COLUMN = missing;
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION apikey.refuse_missing_value() IS 'Trigger: refuses a row without a value that it must have, with a hint, and without showing it';

-- By its name the last one that fires: another one may fill a value in.
CREATE TRIGGER values_are_given BEFORE INSERT OR UPDATE ON apikey.key FOR EACH ROW
WHEN (num_nulls(NEW.prefix, NEW.verifier, NEW.name, NEW.owner, NEW.auth, NEW.created_at, NEW.created_by,
                NEW.tenant, NEW.metadata) > 0)
EXECUTE FUNCTION apikey.refuse_missing_value();
COMMENT ON TRIGGER values_are_given ON apikey.key IS 'A value that is missing is an error that shows no hash';
ALTER TABLE apikey.key ENABLE ALWAYS TRIGGER values_are_given;

-- The trail keeps a null that is in metadata.
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
        -- Without the columns that are NULL; a null in metadata is somebody's.
        SELECT jsonb_object_agg(n.key, n.value) INTO changed
          FROM jsonb_each(old_row || new_row) AS n
         WHERE n.value <> 'null';
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

----------------------------------------------------------------------------------------------------
-- A key that was deleted and comes back inherits no counts
----------------------------------------------------------------------------------------------------

CREATE FUNCTION apikey.usage_in_memory_of(prefix text)
RETURNS TABLE (slot bigint, accepted bigint, refused bigint)
LANGUAGE c VOLATILE PARALLEL RESTRICTED STRICT SECURITY INVOKER
AS 'MODULE_PATHNAME', 'usage_in_memory_of_wrapper';
COMMENT ON FUNCTION apikey.usage_in_memory_of(text) IS 'The same of one key, if that has a slot';

-- A slot outlives the row: a key that was deleted and comes back finds what it had counted. That is
-- noted as being in the counts already.
CREATE FUNCTION apikey.begin_usage() RETURNS trigger
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    m record;
BEGIN
    SELECT * INTO m FROM apikey.usage_in_memory_of(NEW.prefix);
    IF m.slot IS NOT NULL THEN
        -- A restore may have brought the counts before the key.
        UPDATE apikey.usage AS u
           SET slot = m.slot, slot_accepted = m.accepted, slot_refused = m.refused
         WHERE u.prefix = NEW.prefix;
        IF NOT FOUND THEN
            INSERT INTO apikey.usage (prefix, accepted, refused, slot, slot_accepted, slot_refused)
            VALUES (NEW.prefix, 0, 0, m.slot, m.accepted, m.refused);
        END IF;
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION apikey.begin_usage() IS 'Trigger: a new key has no uses, whatever memory has of an older one of its prefix';

CREATE TRIGGER begin_usage AFTER INSERT ON apikey.key FOR EACH ROW
EXECUTE FUNCTION apikey.begin_usage();
COMMENT ON TRIGGER begin_usage ON apikey.key IS 'A key that was deleted and comes back inherits no counts';
ALTER TABLE apikey.key ENABLE ALWAYS TRIGGER begin_usage;

CREATE FUNCTION apikey.restore_usage() RETURNS trigger
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE apikey.usage AS u
       SET accepted = NEW.accepted, refused = NEW.refused,
           last_used_at = NEW.last_used_at, last_used_ip = NEW.last_used_ip
     WHERE u.prefix = NEW.prefix AND u.accepted = 0 AND u.refused = 0 AND u.last_used_at IS NULL;
    RETURN CASE WHEN FOUND THEN NULL ELSE NEW END;
END
$$;
COMMENT ON FUNCTION apikey.restore_usage() IS 'Trigger: counts that come after their key, as from a dump, take the place of none';

CREATE TRIGGER restore_usage BEFORE INSERT ON apikey.usage FOR EACH ROW
EXECUTE FUNCTION apikey.restore_usage();
COMMENT ON TRIGGER restore_usage ON apikey.usage IS 'A key that was brought back may have a row without counts already';
ALTER TABLE apikey.usage ENABLE ALWAYS TRIGGER restore_usage;

-- It also adds up counts that are too large together.
CREATE OR REPLACE VIEW @extschema@.apikeys AS
SELECT k.prefix,
       k.name,
       k.owner,
       coalesce(apikey.ended(k.revoked_at, k.expires_at, k.disabled_at),
                CASE
                    WHEN k.replaced_by IS NOT NULL THEN 'rotating'
                    WHEN k.expires_at <= clock_timestamp() + interval '7 days' THEN 'expiring'
                    ELSE 'active'
                END) AS status,
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
       greatest(u.last_used_at, beyond.last_used_at) AS last_used_at,
       CASE
           WHEN beyond.last_used_at >= coalesce(u.last_used_at, '-infinity') THEN m.last_used_ip
           ELSE u.last_used_ip
       END AS last_used_ip,
       -- What is stored, and what memory has beyond it. The sum may be too large for a bigint.
       least(coalesce(u.accepted, 0) + beyond.accepted::numeric, 9223372036854775807)::bigint AS accepted,
       least(coalesce(u.refused, 0) + beyond.refused::numeric, 9223372036854775807)::bigint AS refused
  FROM apikey.key AS k
  LEFT JOIN apikey.usage AS u ON u.prefix = k.prefix
  LEFT JOIN apikey.usage_in_memory() AS m ON m.prefix = k.prefix
 CROSS JOIN LATERAL (
           SELECT CASE WHEN u.slot = m.slot THEN u.slot_accepted ELSE 0 END AS accepted,
                  CASE WHEN u.slot = m.slot THEN u.slot_refused ELSE 0 END AS refused
       ) AS stored
 CROSS JOIN LATERAL (
           SELECT greatest(m.accepted - stored.accepted, 0) AS accepted,
                  greatest(m.refused - stored.refused, 0) AS refused,
                  CASE WHEN m.accepted > stored.accepted THEN m.last_used_at END AS last_used_at
       ) AS beyond;

----------------------------------------------------------------------------------------------------
-- Any value and any collation
----------------------------------------------------------------------------------------------------

CREATE OR REPLACE FUNCTION apikey.find_prefix(key text) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    -- A key that leaked is pasted as it was found, often with a line end. Only its prefix goes on
    -- from here: the secret is among no statement's parameters. Whatever collation its caller gives
    -- a key is left behind.
    named CONSTANT text COLLATE "C" := split_part(btrim(key COLLATE "C", E' \t\r\n'), '.', 1);
BEGIN
    IF NOT EXISTS (SELECT FROM apikey.key AS k WHERE k.prefix = named) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'undefined_object',
            MESSAGE = 'there is no API key with this prefix',
            HINT = 'Give the prefix, or the whole key. SELECT prefix, name FROM apikeys lists them.';
    END IF;
    RETURN named;
END
$$;

CREATE OR REPLACE FUNCTION @extschema@.apikey_prune_events(keep interval) RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    -- Further back than that, no time can be reckoned from.
    oldest  CONSTANT timestamptz := now() - greatest(least(keep, interval '6000 years'), interval '0');
    removed bigint;
BEGIN
    IF keep IS NULL OR oldest > now() - interval '30 days' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'no event was removed: events are kept for 30 days at least',
            HINT = 'Give the age up to which events stay: apikey_prune_events(''1 year'').';
    END IF;
    DELETE FROM apikey.event AS e WHERE e.at < oldest;
    GET DIAGNOSTICS removed = ROW_COUNT;
    RETURN removed;
END
$$;

COMMENT ON FUNCTION @extschema@.apikey_disable(text) IS 'Disables a key until apikey_enable, by its prefix or by the whole key. True: disabled now; false: it was before, or is revoked';
COMMENT ON FUNCTION @extschema@.apikey_enable(text) IS 'Enables a disabled key again, by its prefix or by the whole key. True: enabled now; false: it was not disabled. An error for a revoked one';

----------------------------------------------------------------------------------------------------
-- A list of scopes as an array
----------------------------------------------------------------------------------------------------

CREATE FUNCTION @extschema@.apikey_create(
    name       text,
    auth       text[],
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
COMMENT ON FUNCTION @extschema@.apikey_create(text, text[], inet, inet[], text, timestamptz, text, jsonb) IS 'Creates an API key and returns it, the only time that it can be seen. auth is a list of scopes; ip one address or network, ips several';

----------------------------------------------------------------------------------------------------
-- Owners and grants
----------------------------------------------------------------------------------------------------

-- Whoever the extension was handed over to owns what is new, too.
DO $$
DECLARE
    added record;
BEGIN
    FOR added IN
        SELECT p.oid::regprocedure AS name, k.relowner::regrole AS owner
          FROM pg_extension AS e
          JOIN pg_depend AS d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e'
          JOIN pg_proc AS p ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid
          JOIN pg_class AS k ON k.oid = 'apikey.key'::regclass
         WHERE e.extname = 'apikey' AND p.proowner <> k.relowner
    LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO %s', added.name, added.owner);
    END LOOP;
END
$$;

-- Nothing is granted to anybody, whatever Postgres or ALTER DEFAULT PRIVILEGES granted.
DO $$
DECLARE
    granted record;
BEGIN
    FOR granted IN
        SELECT p.oid::regprocedure AS name, CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END AS grantee
          FROM pg_proc AS p CROSS JOIN aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS a
         WHERE a.grantee <> p.proowner
           AND p.oid IN ('apikey.refuse_row(text)'::regprocedure, 'apikey.refuse_missing_value()'::regprocedure,
                         'apikey.ended(timestamptz,timestamptz,timestamptz)'::regprocedure, 'apikey.draw_key()'::regprocedure,
                         'apikey.prefix_of(text)'::regprocedure,
                         'apikey.usage_in_memory_of(text)'::regprocedure, 'apikey.contains(inet,inet)'::regprocedure, 'apikey.begin_usage()'::regprocedure,
                         'apikey.restore_usage()'::regprocedure)
    LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM %s CASCADE', granted.name, granted.grantee);
    END LOOP;
END
$$;

----------------------------------------------------------------------------------------------------
-- Whoever could execute a function of the old version, and what does its work now
----------------------------------------------------------------------------------------------------

-- Of the new functions, nothing that Postgres gives to PUBLIC or ALTER DEFAULT PRIVILEGES to
-- anybody. Whoever may execute a function that people call may execute the one that does its work,
-- too, so that the shim and the admin page go on: but for PUBLIC, and but for roles that may check
-- keys without a tenant alone, or create levels alone, for which that would be more than they have.
-- It takes a grant in an extension's script for the script's own, which pg_dump leaves to CREATE
-- EXTENSION: these are somebody's, and shall be dumped.
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
                   ('apikey.check_key_at_once(text,inet,text)', '@extschema@.apikey_check(text,inet,text)'),
                   ('apikey.authorize_key(text,inet,text,text)', '@extschema@.apikey_authorize(text,inet,text,text)'),
                   ('apikey.authorize_key_at_once(text,inet,text,text)', '@extschema@.apikey_authorize(text,inet,text,text)'),
                   ('apikey.create_key(text,jsonb,inet,inet[],text,timestamptz,text,jsonb)',
                    '@extschema@.apikey_create(text,jsonb,inet,inet[],text,timestamptz,text,jsonb)'),
                   ('@extschema@.apikey_create(text,text[],inet,inet[],text,timestamptz,text,jsonb)',
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

    -- Postgres asks whoever writes a row for EXECUTE on what its constraints call, and whoever
    -- reads a view for that on what is called there. Readers of apikeys have it on usage_in_memory
    -- already.
    FOR granted IN
        SELECT o.called, CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END AS grantee,
               CASE WHEN bool_or(a.is_grantable) THEN ' WITH GRANT OPTION' END AS option
          FROM (SELECT 'apikey.refuse_row(text)'::regprocedure AS called, c.relowner AS owner, g.acl
                  FROM pg_class AS c
                 CROSS JOIN LATERAL (SELECT c.relacl AS acl
                                     UNION ALL
                                     SELECT t.attacl FROM pg_attribute AS t WHERE t.attrelid = c.oid) AS g
                 WHERE c.oid IN ('apikey.key'::regclass, 'apikey.scope'::regclass)
                UNION ALL
                SELECT 'apikey.ended(timestamptz,timestamptz,timestamptz)', p.proowner,
                       coalesce(p.proacl, acldefault('f', p.proowner))
                  FROM pg_proc AS p
                 WHERE p.oid = 'apikey.usage_in_memory()'::regprocedure) AS o
         CROSS JOIN aclexplode(o.acl) AS a
         WHERE a.privilege_type IN ('INSERT', 'UPDATE', 'EXECUTE') AND a.grantee <> o.owner
         GROUP BY o.called, a.grantee
    LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %s%s', granted.called, granted.grantee, granted.option);
    END LOOP;
    FOR work IN
        SELECT p.oid, p.proowner AS owner FROM pg_proc AS p
         WHERE p.oid IN ('apikey.refuse_row(text)'::regprocedure, 'apikey.ended(timestamptz,timestamptz,timestamptz)'::regprocedure)
    LOOP
        UPDATE pg_init_privs AS i
           SET initprivs = ARRAY[makeaclitem(work.owner, work.owner, 'EXECUTE', false)]
         WHERE i.classoid = 'pg_proc'::regclass AND i.objoid = work.oid;
        DELETE FROM pg_shdepend AS d
         WHERE d.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
           AND d.classid = 'pg_proc'::regclass AND d.objid = work.oid AND d.deptype = 'i';
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

-- It works without, and not as it should.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM apikey.stats() AS s WHERE s.name = 'preloaded' AND s.value = 1) THEN
        RAISE WARNING USING
            MESSAGE = 'apikey is not preloaded: each connection hashes each key that it checks once more, and no use of a key is counted',
            HINT = 'Add apikey to shared_preload_libraries in postgresql.conf, and restart the server.';
    END IF;
END
$$;
