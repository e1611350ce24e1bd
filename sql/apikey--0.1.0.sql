-- apikey 0.1.0: the install script, written by hand to be read from top to bottom.
--
-- Storage lives in the schema "apikey"; the functions and the view that people call live in the schema
-- that CREATE EXTENSION names (by default the current one).
--
-- Who may do what: nothing is granted to PUBLIC, anywhere. The functions that people call run with the
-- rights of the extension's owner, so that EXECUTE on one function is all that a caller needs. Each pins
-- its search_path, with pg_temp last, so that no caller can slip in an object of its own.
--
-- Locks: a check takes the locks of a SELECT by primary key. Creating and revoking lock their row alone.

\echo Use "CREATE EXTENSION apikey" to load this file. \quit

-- Names below are found in pg_catalog, or written in full.
SET LOCAL search_path = pg_catalog, pg_temp;

-- The names of scopes, the JSON of auth and the prefixes are text that is compared byte by byte.
DO $$
BEGIN
    IF getdatabaseencoding() <> 'UTF8' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'feature_not_supported',
            MESSAGE = format('apikey needs a database in UTF8, this one is in %s', getdatabaseencoding()),
            HINT = 'CREATE DATABASE ... ENCODING ''UTF8'' TEMPLATE template0.';
    END IF;
END
$$;

------------------------------------------------------------------------------------------------------
-- Storage
------------------------------------------------------------------------------------------------------

CREATE SCHEMA apikey;
REVOKE ALL ON SCHEMA apikey FROM PUBLIC;
COMMENT ON SCHEMA apikey IS 'Storage and internals of the extension apikey';

-- A plain INSERT, UPDATE or DELETE is a first-class way to manage keys: every rule about a key is a
-- constraint or a trigger of this table. The comment on a constraint is the hint that apikey_create
-- gives to whoever breaks it.
CREATE TABLE apikey.key (
    prefix        text COLLATE "C" NOT NULL,
    verifier      text COLLATE "C" NOT NULL,
    name          text NOT NULL,
    owner         text NOT NULL DEFAULT session_user,
    auth          jsonb NOT NULL,
    allowed_ips   inet[],
    created_at    timestamptz NOT NULL DEFAULT now(),
    created_by    text NOT NULL DEFAULT session_user,
    expires_at    timestamptz,
    disabled_at   timestamptz,
    revoked_at    timestamptz,
    revoked_by    text,
    revoke_reason text,

    CONSTRAINT key_pkey PRIMARY KEY (prefix),
    CONSTRAINT prefix_shape CHECK (prefix ~ '^[A-Za-z0-9]{8}$'),
    CONSTRAINT verifier_shape CHECK (
        verifier ~ '^\$argon2id\$v=19\$m=[0-9]{1,6},t=[0-9]{1,2},p=[0-9]{1,2}\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$'
    ),
    CONSTRAINT name_not_blank CHECK (name ~ '\S' AND length(name) <= 200),
    CONSTRAINT owner_not_blank CHECK (owner ~ '\S' AND length(owner) <= 200),
    CONSTRAINT auth_shape CHECK (
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
    ),
    CONSTRAINT allowed_ips_not_empty CHECK (
        CASE
            WHEN allowed_ips IS NULL THEN true
            WHEN array_ndims(allowed_ips) = 1 THEN
                cardinality(allowed_ips) <= 64 AND array_position(allowed_ips, NULL) IS NULL
            ELSE false
        END
    ),
    CONSTRAINT expires_after_creation CHECK (expires_at >= created_at),
    CONSTRAINT disabled_after_creation CHECK (disabled_at >= created_at),
    CONSTRAINT revoked_after_creation CHECK (revoked_at >= created_at),
    CONSTRAINT revoked_details CHECK (
        (revoked_at IS NULL) = (revoked_by IS NULL)
        AND (revoked_at IS NOT NULL OR revoke_reason IS NULL)
    )
);
REVOKE ALL ON TABLE apikey.key FROM PUBLIC;

CREATE UNIQUE INDEX key_owner_name_live ON apikey.key (owner, name) WHERE revoked_at IS NULL;

-- pg_dump leaves the rows of an extension's tables out unless they are named here.
SELECT pg_extension_config_dump('apikey.key', '');

COMMENT ON TABLE apikey.key IS 'API keys: what each may do, and the hash that it is checked against';
COMMENT ON COLUMN apikey.key.prefix IS 'The public half of the key PREFIX.SECRET, which names it in lists, logs and errors';
COMMENT ON COLUMN apikey.key.verifier IS 'Argon2id hash of the whole key as a PHC string; the key itself is stored nowhere';
COMMENT ON COLUMN apikey.key.name IS 'What the key is for; unique among the live (not revoked) keys of its owner';
COMMENT ON COLUMN apikey.key.owner IS 'Whose key it is; by default the role that logged in to create it';
COMMENT ON COLUMN apikey.key.auth IS 'What the key may do: one level ("event"), a list (["event","ticket"]) or an object of booleans ({"event":true})';
COMMENT ON COLUMN apikey.key.allowed_ips IS 'Addresses and networks that the key may be used from; NULL: from anywhere';
COMMENT ON COLUMN apikey.key.created_at IS 'When the key was created';
COMMENT ON COLUMN apikey.key.created_by IS 'The role that logged in to create the key';
COMMENT ON COLUMN apikey.key.expires_at IS 'When the key stops being valid; NULL: never';
COMMENT ON COLUMN apikey.key.disabled_at IS 'When the key was disabled; NULL: it is not. Set it back to NULL to enable the key again';
COMMENT ON COLUMN apikey.key.revoked_at IS 'When the key was revoked, for good; NULL: it is not';
COMMENT ON COLUMN apikey.key.revoked_by IS 'The role that logged in to revoke the key';
COMMENT ON COLUMN apikey.key.revoke_reason IS 'Why the key was revoked';
COMMENT ON CONSTRAINT key_pkey ON apikey.key IS 'A prefix names one key.';
COMMENT ON CONSTRAINT prefix_shape ON apikey.key IS 'A prefix has 8 characters of A-Z, a-z and 0-9.';
COMMENT ON CONSTRAINT verifier_shape ON apikey.key IS 'A verifier is an Argon2id PHC string with a salt of 16 bytes and a hash of 32.';
COMMENT ON CONSTRAINT name_not_blank ON apikey.key IS 'A name has 1 to 200 characters, not all of them blank.';
COMMENT ON CONSTRAINT owner_not_blank ON apikey.key IS 'An owner has 1 to 200 characters, not all of them blank.';
COMMENT ON CONSTRAINT auth_shape ON apikey.key IS 'auth is one level (''event''), a list of 1 to 64 (''["event","ticket"]''::jsonb) or an object of 1 to 64 booleans (''{"event":true}''::jsonb), each named by 1 to 64 characters of A-Z a-z 0-9 _ . : / -';
COMMENT ON CONSTRAINT allowed_ips_not_empty ON apikey.key IS 'A list of networks has 1 to 64 entries, none of them NULL. For a key without an address rule, leave it NULL.';
COMMENT ON CONSTRAINT expires_after_creation ON apikey.key IS 'A key expires after it was created. To end a key now, use apikey_revoke.';
COMMENT ON CONSTRAINT disabled_after_creation ON apikey.key IS 'A key is disabled after it was created.';
COMMENT ON CONSTRAINT revoked_after_creation ON apikey.key IS 'A key is revoked after it was created.';
COMMENT ON CONSTRAINT revoked_details ON apikey.key IS 'A revoked key says by whom; a key that is not revoked has no reason for it.';
COMMENT ON INDEX apikey.key_owner_name_live IS 'A name is unique among the live (not revoked) keys of its owner.';

------------------------------------------------------------------------------------------------------
-- Revocation is final
------------------------------------------------------------------------------------------------------

CREATE FUNCTION apikey.stamp_revocation() RETURNS trigger
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- A revocation is never refused for the clock's sake: now() is older than the key where the
    -- transaction is.
    NEW.revoked_at := greatest(NEW.revoked_at, NEW.created_at);
    NEW.revoked_by := session_user;
    RETURN NEW;
END
$$;
REVOKE ALL ON FUNCTION apikey.stamp_revocation() FROM PUBLIC;
COMMENT ON FUNCTION apikey.stamp_revocation() IS 'Trigger: notes who revoked a key, and no time before the key was created';

CREATE FUNCTION apikey.refuse_change() RETURNS trigger
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION USING
        ERRCODE = 'object_not_in_prerequisite_state',
        MESSAGE = format(TG_ARGV[0], OLD.prefix),
        HINT = TG_ARGV[1];
END
$$;
REVOKE ALL ON FUNCTION apikey.refuse_change() FROM PUBLIC;
COMMENT ON FUNCTION apikey.refuse_change() IS 'Trigger: refuses an update, with its arguments as message (%s is the prefix) and hint';

CREATE TRIGGER revocation_is_final BEFORE UPDATE ON apikey.key FOR EACH ROW
WHEN (
    OLD.revoked_at IS NOT NULL
    AND (NEW.revoked_at IS DISTINCT FROM OLD.revoked_at OR NEW.revoked_by IS DISTINCT FROM OLD.revoked_by)
)
EXECUTE FUNCTION apikey.refuse_change('API key %s is revoked, and stays so', 'Create a new key with apikey_create.');
COMMENT ON TRIGGER revocation_is_final ON apikey.key IS 'Nobody, superusers included, brings a revoked key back';

CREATE TRIGGER prefix_is_fixed BEFORE UPDATE ON apikey.key FOR EACH ROW
WHEN (NEW.prefix IS DISTINCT FROM OLD.prefix)
EXECUTE FUNCTION apikey.refuse_change('the prefix of API key %s cannot change', 'The prefix is part of the key that its holder has. Create a new key with apikey_create.');
COMMENT ON TRIGGER prefix_is_fixed ON apikey.key IS 'A key with another prefix would be another key';

CREATE TRIGGER stamp_revocation BEFORE UPDATE ON apikey.key FOR EACH ROW
WHEN (OLD.revoked_at IS NULL AND NEW.revoked_at IS NOT NULL)
EXECUTE FUNCTION apikey.stamp_revocation();
COMMENT ON TRIGGER stamp_revocation ON apikey.key IS 'A revocation by a plain UPDATE says by whom, too';

-- ALWAYS: session_replication_role = replica does not switch them off.
ALTER TABLE apikey.key ENABLE ALWAYS TRIGGER revocation_is_final;
ALTER TABLE apikey.key ENABLE ALWAYS TRIGGER prefix_is_fixed;

------------------------------------------------------------------------------------------------------
-- Creating a key
------------------------------------------------------------------------------------------------------

CREATE FUNCTION apikey.generate_key() RETURNS text
LANGUAGE c VOLATILE PARALLEL UNSAFE STRICT SECURITY INVOKER
AS 'MODULE_PATHNAME', 'generate_key_wrapper';
REVOKE ALL ON FUNCTION apikey.generate_key() FROM PUBLIC;
COMMENT ON FUNCTION apikey.generate_key() IS 'Draws a key from the operating system''s random source, and stores nothing';

CREATE FUNCTION apikey.make_verifier(key text) RETURNS text
LANGUAGE c VOLATILE PARALLEL UNSAFE STRICT SECURITY INVOKER
AS 'MODULE_PATHNAME', 'make_verifier_wrapper';
REVOKE ALL ON FUNCTION apikey.make_verifier(text) FROM PUBLIC;
COMMENT ON FUNCTION apikey.make_verifier(text) IS 'Argon2id hash of a key as a PHC string, at the cost of the settings apikey.argon2_*';

CREATE FUNCTION @extschema@.apikey_create(
    name       text,
    auth       jsonb,
    ip         inet        DEFAULT NULL,
    ips        inet[]      DEFAULT NULL,
    owner      text        DEFAULT NULL,
    expires_at timestamptz DEFAULT NULL
) RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    key      text;
    prefix   text;
    verifier text;
    broken   text;
BEGIN
    IF ip IS NOT NULL AND ips IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'no API key was created: both ip and ips are given',
            HINT = 'Give one address as ip, or all of them as ips.';
    END IF;
    owner := coalesce(owner, session_user);

    -- Two of 10^13 prefixes hardly ever clash: a second clash in a row is no accident.
    FOR attempt IN 1..4 LOOP
        -- By assignment, so that no statement below has the key among its parameters.
        key := apikey.generate_key();
        prefix := split_part(key, '.', 1);
        verifier := apikey.make_verifier(key);
        BEGIN
            INSERT INTO apikey.key (prefix, verifier, name, owner, auth, allowed_ips, expires_at)
            VALUES (prefix, verifier, name, owner, auth,
                    CASE WHEN ip IS NULL THEN ips ELSE ARRAY[ip] END, expires_at);
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
REVOKE ALL ON FUNCTION @extschema@.apikey_create(text, jsonb, inet, inet[], text, timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION @extschema@.apikey_create(text, jsonb, inet, inet[], text, timestamptz) IS 'Creates an API key and returns it, the only time that it can be seen. auth is a list of scopes or an object of booleans; ip one address or network, ips several';

CREATE FUNCTION @extschema@.apikey_create(
    name       text,
    auth       text,
    ip         inet        DEFAULT NULL,
    ips        inet[]      DEFAULT NULL,
    owner      text        DEFAULT NULL,
    expires_at timestamptz DEFAULT NULL
) RETURNS text
LANGUAGE sql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
RETURN @extschema@.apikey_create(name, to_jsonb(auth), ip, ips, owner, expires_at);
REVOKE ALL ON FUNCTION @extschema@.apikey_create(text, text, inet, inet[], text, timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION @extschema@.apikey_create(text, text, inet, inet[], text, timestamptz) IS 'Creates an API key and returns it, the only time that it can be seen. auth is one level; ip one address or network, ips several';

------------------------------------------------------------------------------------------------------
-- Revoking a key
------------------------------------------------------------------------------------------------------

CREATE FUNCTION @extschema@.apikey_revoke(key text, reason text DEFAULT NULL) RETURNS boolean
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    -- A key that leaked is pasted as it was found, often with a line end. Only its prefix goes on from
    -- here: the secret is among no statement's parameters.
    named CONSTANT text := split_part(btrim(key, E' \t\r\n'), '.', 1);
BEGIN
    UPDATE apikey.key AS k
       SET revoked_at = clock_timestamp(),
           revoke_reason = nullif(btrim(reason), '')
     WHERE k.prefix = named AND k.revoked_at IS NULL;
    IF FOUND THEN
        RETURN true;
    END IF;
    IF EXISTS (SELECT FROM apikey.key AS k WHERE k.prefix = named) THEN
        RETURN false;
    END IF;
    RAISE EXCEPTION USING
        ERRCODE = 'undefined_object',
        MESSAGE = 'no API key was revoked: there is none with this prefix',
        HINT = 'Give the prefix, or the whole key. SELECT prefix, name FROM apikeys lists them.';
END
$$;
REVOKE ALL ON FUNCTION @extschema@.apikey_revoke(text, text) FROM PUBLIC;
COMMENT ON FUNCTION @extschema@.apikey_revoke(text, text) IS 'Revokes a key for good, by its prefix or by the whole key. True: revoked now; false: it was revoked before';

------------------------------------------------------------------------------------------------------
-- Checking a key
------------------------------------------------------------------------------------------------------

-- STABLE: reads the row in the caller's snapshot, writes nothing, takes no transaction id.
CREATE FUNCTION @extschema@.apikey_check(key text, ip inet) RETURNS json
LANGUAGE c STABLE PARALLEL RESTRICTED CALLED ON NULL INPUT SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'apikey_check_wrapper';
REVOKE ALL ON FUNCTION @extschema@.apikey_check(text, inet) FROM PUBLIC;
COMMENT ON FUNCTION @extschema@.apikey_check(text, inet) IS 'What a valid key may do and whether it may from this address: {"auth":…,"ip_request":"…","ip_valid":…}. NULL for a key that is not valid, whatever is wrong with it';

------------------------------------------------------------------------------------------------------
-- Looking at keys
------------------------------------------------------------------------------------------------------

CREATE VIEW @extschema@.apikeys AS
SELECT k.prefix,
       k.name,
       k.owner,
       CASE
           WHEN k.revoked_at IS NOT NULL THEN 'revoked'
           WHEN k.expires_at <= clock_timestamp() THEN 'expired'
           WHEN k.disabled_at IS NOT NULL THEN 'disabled'
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
       k.revoke_reason
  FROM apikey.key AS k;
REVOKE ALL ON TABLE @extschema@.apikeys FROM PUBLIC;
COMMENT ON VIEW @extschema@.apikeys IS 'Everything about each API key but its hash';
COMMENT ON COLUMN @extschema@.apikeys.prefix IS 'The public half of the key, which names it';
COMMENT ON COLUMN @extschema@.apikeys.name IS 'What the key is for';
COMMENT ON COLUMN @extschema@.apikeys.owner IS 'Whose key it is';
COMMENT ON COLUMN @extschema@.apikeys.status IS 'active, disabled, expired or revoked: only an active key is valid';
COMMENT ON COLUMN @extschema@.apikeys.auth IS 'What the key may do';
COMMENT ON COLUMN @extschema@.apikeys.allowed_ips IS 'Addresses and networks that the key may be used from; NULL: from anywhere';
COMMENT ON COLUMN @extschema@.apikeys.created_at IS 'When the key was created';
COMMENT ON COLUMN @extschema@.apikeys.created_by IS 'The role that logged in to create the key';
COMMENT ON COLUMN @extschema@.apikeys.expires_at IS 'When the key stops being valid; NULL: never';
COMMENT ON COLUMN @extschema@.apikeys.disabled_at IS 'When the key was disabled; NULL: it is not';
COMMENT ON COLUMN @extschema@.apikeys.revoked_at IS 'When the key was revoked; NULL: it is not';
COMMENT ON COLUMN @extschema@.apikeys.revoked_by IS 'The role that logged in to revoke the key';
COMMENT ON COLUMN @extschema@.apikeys.revoke_reason IS 'Why the key was revoked';
