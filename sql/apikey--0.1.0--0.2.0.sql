-- apikey 0.1.0 to 0.2.0. What is new is the same text as in apikey--0.3.0.sql, but for what 0.3.0 changed; what changes stands here first.
--
-- Locks: apikey.key is locked against everything for as long as its rows take to be checked and indexed
-- anew: seconds for a million keys.

\echo Use "ALTER EXTENSION apikey UPDATE" to load this file. \quit

-- Names below are found in pg_catalog, or written in full.
SET LOCAL search_path = pg_catalog, pg_temp;

------------------------------------------------------------------------------------------------------
-- Storage
------------------------------------------------------------------------------------------------------

ALTER TABLE apikey.key
    ADD COLUMN tenant      text NOT NULL DEFAULT '',
    ADD COLUMN metadata    jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN replaced_by text COLLATE "C",
    DROP CONSTRAINT verifier_shape,
    ADD CONSTRAINT verifier_shape CHECK (
        verifier ~ '^\$argon2id\$v=19\$m=[0-9]{1,6},t=[0-9]{1,2},p=[0-9]{1,2}\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$'
        OR verifier ~ '^argon2\$argon2id\$v=19\$m=[0-9]{1,6},t=[0-9]{1,2},p=[0-9]{1,2}\$[A-Za-z0-9+/]{11,64}\$[A-Za-z0-9+/]{22,86}$'
        OR verifier ~ '^pbkdf2_sha256\$[0-9]{1,7}\$[A-Za-z0-9]{1,128}\$[A-Za-z0-9+/]{43}=$'
        OR verifier ~ '^sha512\$\$[0-9a-f]{128}$'
    ),
    ADD CONSTRAINT tenant_shape CHECK (length(tenant) <= 200 AND tenant !~ '^\s|\s$'),
    ADD CONSTRAINT metadata_is_object CHECK (jsonb_typeof(metadata) = 'object' AND length(metadata::text) <= 8192),
    ADD CONSTRAINT replaced_by_shape CHECK (replaced_by ~ '^[A-Za-z0-9]{8}$' AND replaced_by <> prefix);

DROP INDEX apikey.key_owner_name_live;
CREATE UNIQUE INDEX key_tenant_owner_name_live ON apikey.key (tenant, owner, name)
 WHERE revoked_at IS NULL AND replaced_by IS NULL;

COMMENT ON COLUMN apikey.key.verifier IS 'Hash of the whole key: an Argon2id PHC string, or what Django stored until the key is used for the first time; the key itself is stored nowhere';
COMMENT ON COLUMN apikey.key.name IS 'What the key is for; unique among the live keys (not revoked, not replaced) of its owner in a tenant';
COMMENT ON COLUMN apikey.key.tenant IS 'The tenant that the key is valid in; empty: the one tenant of those who have no tenants';
COMMENT ON COLUMN apikey.key.metadata IS 'Whatever else applications want to know about the key: a JSON object, at most 8192 characters long';
COMMENT ON COLUMN apikey.key.replaced_by IS 'Prefix of the key that took its place in a rotation';
COMMENT ON CONSTRAINT verifier_shape ON apikey.key IS 'A verifier is an Argon2id PHC string, or one that djangorestframework-api-key stored: argon2$argon2id…, pbkdf2_sha256$… or sha512$$….';
COMMENT ON CONSTRAINT tenant_shape ON apikey.key IS 'A tenant has at most 200 characters, and no blank at either end. Leave it out if you have no tenants.';
COMMENT ON CONSTRAINT metadata_is_object ON apikey.key IS 'metadata is a JSON object, at most 8192 characters long.';
COMMENT ON CONSTRAINT replaced_by_shape ON apikey.key IS 'A key is replaced by another one, named by its prefix. Use apikey_rotate.';
COMMENT ON INDEX apikey.key_tenant_owner_name_live IS 'A name is unique among the live keys (not revoked, not replaced) of its owner in a tenant.';

------------------------------------------------------------------------------------------------------
-- Known scopes
------------------------------------------------------------------------------------------------------

-- While this is empty, any name may stand in auth.
CREATE TABLE apikey.scope (
    name        text COLLATE "C" NOT NULL,
    description text NOT NULL,

    CONSTRAINT scope_pkey PRIMARY KEY (name),
    CONSTRAINT scope_name_shape CHECK (name ~ '^[A-Za-z0-9_.:/-]{1,64}$'),
    CONSTRAINT scope_description_not_blank CHECK (description ~ '\S')
);
SELECT pg_extension_config_dump('apikey.scope', '');
COMMENT ON TABLE apikey.scope IS 'The scopes that auth may name; while it is empty, auth may name any';
COMMENT ON COLUMN apikey.scope.name IS 'The scope, as it stands in auth';
COMMENT ON COLUMN apikey.scope.description IS 'What a key with this scope may do';
COMMENT ON CONSTRAINT scope_pkey ON apikey.scope IS 'A scope is described once.';
COMMENT ON CONSTRAINT scope_name_shape ON apikey.scope IS 'A scope has 1 to 64 characters of A-Z a-z 0-9 _ . : / -';
COMMENT ON CONSTRAINT scope_description_not_blank ON apikey.scope IS 'A description says something.';

CREATE FUNCTION apikey.refuse_unknown_scope() RETURNS trigger
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    -- A level, a list or an object, as the names that stand in it.
    named   CONSTANT jsonb := CASE jsonb_typeof(NEW.auth)
                                  WHEN 'object' THEN jsonb_path_query_array(NEW.auth, '$.keyvalue().key')
                                  WHEN 'array' THEN NEW.auth
                                  ELSE jsonb_build_array(NEW.auth)
                              END;
    unknown text;
BEGIN
    SELECT string_agg(quote_literal(n), ', ') INTO unknown
      FROM jsonb_array_elements_text(named) AS n
     WHERE NOT EXISTS (SELECT FROM apikey.scope AS s WHERE s.name = n);
    IF unknown IS NOT NULL AND EXISTS (SELECT FROM apikey.scope) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('auth names a scope that is not known: %s', unknown),
            HINT = format('Known are %s. Another one is made known by INSERT INTO apikey.scope.',
                          (SELECT string_agg(s.name, ', ' ORDER BY s.name)
                             FROM (SELECT s.name FROM apikey.scope AS s ORDER BY s.name LIMIT 50) AS s));
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION apikey.refuse_unknown_scope() IS 'Trigger: where scopes are known, auth names no others';

-- A row that was created earlier, and comes from a dump or from Django, is taken as it is: its scope may
-- have been retired since.
CREATE TRIGGER new_scopes_are_known BEFORE INSERT ON apikey.key FOR EACH ROW
WHEN (NEW.created_at = now())
EXECUTE FUNCTION apikey.refuse_unknown_scope();
COMMENT ON TRIGGER new_scopes_are_known ON apikey.key IS 'A typo in the auth of a new key is an error, once the known scopes are in apikey.scope';

CREATE TRIGGER scopes_are_known BEFORE UPDATE OF auth ON apikey.key FOR EACH ROW
EXECUTE FUNCTION apikey.refuse_unknown_scope();
COMMENT ON TRIGGER scopes_are_known ON apikey.key IS 'A typo in auth is an error, once the known scopes are in apikey.scope';

------------------------------------------------------------------------------------------------------
-- No key vanishes without a trace
------------------------------------------------------------------------------------------------------

CREATE FUNCTION apikey.refuse_statement() RETURNS trigger
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION USING
        ERRCODE = 'object_not_in_prerequisite_state',
        MESSAGE = TG_ARGV[0],
        HINT = TG_ARGV[1];
END
$$;
COMMENT ON FUNCTION apikey.refuse_statement() IS 'Trigger: refuses what is done, with its arguments as message and hint';

CREATE TRIGGER keys_are_deleted_one_by_one BEFORE TRUNCATE ON apikey.key FOR EACH STATEMENT
EXECUTE FUNCTION apikey.refuse_statement('API keys cannot be truncated: it would leave no trace', 'Use DELETE FROM apikey.key.');
COMMENT ON TRIGGER keys_are_deleted_one_by_one ON apikey.key IS 'TRUNCATE would pass by the audit trail';

ALTER TABLE apikey.key ENABLE ALWAYS TRIGGER keys_are_deleted_one_by_one;

------------------------------------------------------------------------------------------------------
-- The audit trail
------------------------------------------------------------------------------------------------------

-- Written by the triggers of apikey.key, so that a plain UPDATE leaves the same trail as a function. No
-- sequence numbers it: a restored trail and the events of the restore itself stand side by side.
CREATE TABLE apikey.event (
    id               uuid NOT NULL DEFAULT gen_random_uuid(),
    at               timestamptz NOT NULL DEFAULT clock_timestamp(),
    action           text NOT NULL,
    prefix           text COLLATE "C" NOT NULL,
    changed          jsonb NOT NULL,
    session_role     text NOT NULL DEFAULT session_user,
    acting_role      text NOT NULL DEFAULT coalesce(nullif(current_setting('role'), 'none'), session_user),
    client_address   inet DEFAULT inet_client_addr(),
    application_name text DEFAULT current_setting('application_name'),

    CONSTRAINT event_pkey PRIMARY KEY (id),
    CONSTRAINT event_action CHECK (action IN ('create', 'import', 'change', 'rotate', 'disable', 'enable', 'revoke', 'delete'))
);
CREATE INDEX event_prefix_at ON apikey.event (prefix, at);
CREATE INDEX event_at ON apikey.event (at);
SELECT pg_extension_config_dump('apikey.event', '');
COMMENT ON TABLE apikey.event IS 'What was done to each key, when and by whom; nobody can change it';
COMMENT ON COLUMN apikey.event.id IS 'Names the event';
COMMENT ON COLUMN apikey.event.at IS 'When it was done; it holds from the commit on';
COMMENT ON COLUMN apikey.event.action IS 'create, import (a row that was created earlier elsewhere), change, rotate, disable, enable, revoke or delete';
COMMENT ON COLUMN apikey.event.prefix IS 'The key';
COMMENT ON COLUMN apikey.event.changed IS 'The row that was created, imported or deleted, or {column: {from, to}} of what was changed; of a verifier, only its method';
COMMENT ON COLUMN apikey.event.session_role IS 'The role that logged in';
COMMENT ON COLUMN apikey.event.acting_role IS 'The role that it acted as, after SET ROLE';
COMMENT ON COLUMN apikey.event.client_address IS 'Where the connection came from; NULL: a Unix socket';
COMMENT ON COLUMN apikey.event.application_name IS 'What the application called itself; anybody may claim anything';
COMMENT ON CONSTRAINT event_pkey ON apikey.event IS 'An event is noted once.';
COMMENT ON CONSTRAINT event_action ON apikey.event IS 'The actions that there are.';
COMMENT ON INDEX apikey.event_prefix_at IS 'The trail of one key';
COMMENT ON INDEX apikey.event_at IS 'What happened lately, and what is old enough to go';

CREATE FUNCTION apikey.record_event() RETURNS trigger
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    -- Of a verifier no more than its method: $argon2id, pbkdf2_sha256 …
    old_row jsonb := '{}';
    new_row jsonb := '{}';
    action  text;
    changed jsonb;
BEGIN
    IF TG_OP <> 'INSERT' THEN
        old_row := to_jsonb(OLD) || jsonb_build_object('verifier', substring(OLD.verifier FROM '[a-z0-9_]+'));
    END IF;
    IF TG_OP <> 'DELETE' THEN
        new_row := to_jsonb(NEW) || jsonb_build_object('verifier', substring(NEW.verifier FROM '[a-z0-9_]+'));
    END IF;
    IF TG_OP = 'UPDATE' THEN
        SELECT jsonb_object_agg(n.key, jsonb_build_object('from', old_row -> n.key, 'to', n.value)) INTO changed
          FROM jsonb_each(new_row) AS n
         WHERE n.value IS DISTINCT FROM old_row -> n.key
            OR n.key = 'verifier' AND NEW.verifier <> OLD.verifier;
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
COMMENT ON FUNCTION apikey.record_event() IS 'Trigger: notes in apikey.event what is done to a key';

CREATE TRIGGER record_event AFTER INSERT OR UPDATE OR DELETE ON apikey.key FOR EACH ROW
EXECUTE FUNCTION apikey.record_event();
COMMENT ON TRIGGER record_event ON apikey.key IS 'Whatever is done to a key leaves a trace';

CREATE TRIGGER events_are_final BEFORE UPDATE ON apikey.event FOR EACH ROW
EXECUTE FUNCTION apikey.refuse_statement('events of API keys cannot be changed', 'What was done is noted for good. Old events can be removed with apikey_prune_events.');
COMMENT ON TRIGGER events_are_final ON apikey.event IS 'Nobody, superusers included, changes what was noted';

CREATE TRIGGER events_are_kept BEFORE DELETE ON apikey.event FOR EACH ROW
WHEN (OLD.at > now() - interval '30 days')
EXECUTE FUNCTION apikey.refuse_statement('events of API keys are kept for 30 days at least', 'Older ones can be removed with apikey_prune_events.');
COMMENT ON TRIGGER events_are_kept ON apikey.event IS 'Nobody, superusers included, removes what is younger than 30 days';

CREATE TRIGGER events_are_not_truncated BEFORE TRUNCATE ON apikey.event FOR EACH STATEMENT
EXECUTE FUNCTION apikey.refuse_statement('events of API keys cannot be truncated', 'Old ones can be removed with apikey_prune_events.');
COMMENT ON TRIGGER events_are_not_truncated ON apikey.event IS 'Nobody, superusers included, removes them all';

ALTER TABLE apikey.key ENABLE ALWAYS TRIGGER record_event;
ALTER TABLE apikey.event ENABLE ALWAYS TRIGGER events_are_final;
ALTER TABLE apikey.event ENABLE ALWAYS TRIGGER events_are_kept;
ALTER TABLE apikey.event ENABLE ALWAYS TRIGGER events_are_not_truncated;

CREATE FUNCTION @extschema@.apikey_prune_events(keep interval) RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    removed bigint;
BEGIN
    IF keep IS NULL OR now() - keep > now() - interval '30 days' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'no event was removed: events are kept for 30 days at least',
            HINT = 'Give the age up to which events stay: apikey_prune_events(''1 year'').';
    END IF;
    DELETE FROM apikey.event AS e WHERE e.at < now() - keep;
    GET DIAGNOSTICS removed = ROW_COUNT;
    RETURN removed;
END
$$;
COMMENT ON FUNCTION @extschema@.apikey_prune_events(interval) IS 'Removes the events that are older than this, 30 days at least, and says how many';

CREATE VIEW @extschema@.apikey_events AS
SELECT e.at, e.action, e.prefix, e.changed, e.session_role, e.acting_role, e.client_address, e.application_name, e.id
  FROM apikey.event AS e;
COMMENT ON VIEW @extschema@.apikey_events IS 'What was done to each key, when and by whom';
COMMENT ON COLUMN @extschema@.apikey_events.at IS 'When it was done';
COMMENT ON COLUMN @extschema@.apikey_events.action IS 'create, import, change, rotate, disable, enable, revoke or delete';
COMMENT ON COLUMN @extschema@.apikey_events.prefix IS 'The key';
COMMENT ON COLUMN @extschema@.apikey_events.changed IS 'What was created, changed or deleted';
COMMENT ON COLUMN @extschema@.apikey_events.session_role IS 'The role that logged in';
COMMENT ON COLUMN @extschema@.apikey_events.acting_role IS 'The role that it acted as';
COMMENT ON COLUMN @extschema@.apikey_events.client_address IS 'Where the connection came from; NULL: a Unix socket';
COMMENT ON COLUMN @extschema@.apikey_events.application_name IS 'What the application called itself';
COMMENT ON COLUMN @extschema@.apikey_events.id IS 'Names the event';

------------------------------------------------------------------------------------------------------
-- Creating a key
------------------------------------------------------------------------------------------------------

-- Two more parameters make two other functions: whoever could execute the old ones can execute the new,
-- by the grants at the end of this script.
SELECT set_config('apikey_upgrade.grants', coalesce(string_agg(
           format('GRANT EXECUTE ON FUNCTION %s.apikey_create(%s, text, jsonb) TO %s%s;', p.pronamespace::regnamespace,
                  (SELECT string_agg(t::regtype::text, ', ' ORDER BY n) FROM unnest(p.proargtypes) WITH ORDINALITY AS a (t, n)),
                  CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END,
                  CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' END), ' '), ''), true)
  FROM pg_proc AS p CROSS JOIN aclexplode(p.proacl) AS a
 WHERE p.oid IN ('@extschema@.apikey_create(text, jsonb, inet, inet[], text, timestamptz)'::regprocedure,
                 '@extschema@.apikey_create(text, text, inet, inet[], text, timestamptz)'::regprocedure)
   AND a.grantee <> p.proowner;

DROP FUNCTION @extschema@.apikey_create(text, text, inet, inet[], text, timestamptz);
DROP FUNCTION @extschema@.apikey_create(text, jsonb, inet, inet[], text, timestamptz);

CREATE FUNCTION @extschema@.apikey_create(
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
        BEGIN
            INSERT INTO apikey.key (prefix, verifier, name, owner, auth, allowed_ips, expires_at, tenant, metadata)
            VALUES (prefix, verifier, name, owner, auth,
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
COMMENT ON FUNCTION @extschema@.apikey_create(text, jsonb, inet, inet[], text, timestamptz, text, jsonb) IS 'Creates an API key and returns it, the only time that it can be seen. auth is a list of scopes or an object of booleans; ip one address or network, ips several';

CREATE FUNCTION @extschema@.apikey_create(
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
RETURN @extschema@.apikey_create(name, to_jsonb(auth), ip, ips, owner, expires_at, tenant, metadata);
COMMENT ON FUNCTION @extschema@.apikey_create(text, text, inet, inet[], text, timestamptz, text, jsonb) IS 'Creates an API key and returns it, the only time that it can be seen. auth is one level; ip one address or network, ips several';

------------------------------------------------------------------------------------------------------
-- Rotating, disabling and revoking a key
------------------------------------------------------------------------------------------------------

CREATE FUNCTION apikey.find_prefix(key text) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    -- A key that leaked is pasted as it was found, often with a line end. Only its prefix goes on from
    -- here: the secret is among no statement's parameters.
    named CONSTANT text := split_part(btrim(key, E' \t\r\n'), '.', 1);
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
COMMENT ON FUNCTION apikey.find_prefix(text) IS 'The prefix of a key that is named by it, or by the whole key; an error when there is none';

CREATE OR REPLACE FUNCTION @extschema@.apikey_revoke(key text, reason text DEFAULT NULL) RETURNS boolean
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
COMMENT ON FUNCTION @extschema@.apikey_revoke(text, text) IS 'Revokes a key for good, by its prefix or by the whole key. True: revoked now; false: it was revoked before';

CREATE FUNCTION @extschema@.apikey_disable(key text) RETURNS boolean
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
COMMENT ON FUNCTION @extschema@.apikey_disable(text) IS 'Disables a key until apikey_enable, by its prefix or by the whole key. True: disabled now; false: it was before';

CREATE FUNCTION @extschema@.apikey_enable(key text) RETURNS boolean
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
COMMENT ON FUNCTION @extschema@.apikey_enable(text) IS 'Enables a disabled key again, by its prefix or by the whole key. True: enabled now; false: it was not disabled';

CREATE FUNCTION @extschema@.apikey_rotate(key text, grace interval DEFAULT '0') RETURNS text
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

    UPDATE apikey.key AS k
       SET replaced_by = new_prefix,
           expires_at = CASE WHEN grace > interval '0' THEN least(k.expires_at, clock_timestamp() + grace) ELSE k.expires_at END,
           revoked_at = CASE WHEN grace > interval '0' THEN NULL ELSE clock_timestamp() END,
           revoke_reason = CASE WHEN grace > interval '0' THEN NULL ELSE 'rotated' END
     WHERE k.prefix = named;
    -- The same identity, and as long a life as the old key was given.
    INSERT INTO apikey.key (prefix, verifier, name, owner, auth, allowed_ips, expires_at, tenant, metadata)
    VALUES (new_prefix, new_verifier, old.name, old.owner, old.auth, old.allowed_ips,
            CASE WHEN isfinite(old.expires_at) THEN now() + (old.expires_at - old.created_at) END,
            old.tenant, old.metadata);
    RETURN fresh;
END
$$;
COMMENT ON FUNCTION @extschema@.apikey_rotate(text, interval) IS 'Replaces a key by a new one of the same identity, and returns that, the only time that it can be seen. The old key stays valid for the grace; without one it is revoked at once';

------------------------------------------------------------------------------------------------------
-- Checking a key
------------------------------------------------------------------------------------------------------

-- VOLATILE, since the first check of a key whose hash is not of the cost that is set (or is Django's)
-- stores a new hash, where it may write. Any other check writes nothing and takes no transaction id.
CREATE OR REPLACE FUNCTION @extschema@.apikey_check(key text, ip inet) RETURNS json
LANGUAGE c VOLATILE PARALLEL UNSAFE CALLED ON NULL INPUT SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'apikey_check_wrapper';
COMMENT ON FUNCTION @extschema@.apikey_check(text, inet) IS 'What a valid key may do and whether it may from this address: {"auth":…,"ip_request":"…","ip_valid":…}. NULL for a key that is not valid, whatever is wrong with it';

CREATE FUNCTION @extschema@.apikey_check(key text, ip inet, tenant text) RETURNS json
LANGUAGE c VOLATILE PARALLEL UNSAFE CALLED ON NULL INPUT SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'check_in_tenant_wrapper';
COMMENT ON FUNCTION @extschema@.apikey_check(text, inet, text) IS 'The same for the keys of one tenant: another tenant''s key is not valid';

-- Whether an auth grants a scope is decided by this one function, for all three shapes.
CREATE FUNCTION apikey.grants(auth jsonb, scope text) RETURNS boolean
LANGUAGE c IMMUTABLE PARALLEL SAFE STRICT SECURITY INVOKER
AS 'MODULE_PATHNAME', 'grants_wrapper';
COMMENT ON FUNCTION apikey.grants(jsonb, text) IS 'Whether auth grants the scope: it is the level, stands in the list, or is true in the object';

CREATE TYPE @extschema@.apikey_decision AS (
    allowed  boolean,
    reason   text,
    prefix   text,
    name     text,
    owner    text,
    auth     jsonb,
    metadata jsonb,
    tenant   text
);
COMMENT ON TYPE @extschema@.apikey_decision IS 'The answer of apikey_authorize. reason is ok, invalid_key, wrong_address or missing_scope; the rest is NULL for an invalid key';

CREATE FUNCTION @extschema@.apikey_authorize(key text, ip inet, scope text DEFAULT NULL, tenant text DEFAULT '')
RETURNS @extschema@.apikey_decision
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    -- By assignment, so that no statement below has the key among its parameters.
    answer CONSTANT json := @extschema@.apikey_check(key, ip, tenant);
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
COMMENT ON FUNCTION @extschema@.apikey_authorize(text, inet, text, text) IS 'Whether the key may do this from here, why not, and who the caller is. Without a scope, a valid key from a right address is allowed';

-- Only a manager learns why a key is refused: the public answer does not help anybody guess.
CREATE FUNCTION apikey.matches(key text, verifier text) RETURNS boolean
LANGUAGE c VOLATILE PARALLEL UNSAFE STRICT SECURITY INVOKER
AS 'MODULE_PATHNAME', 'matches_wrapper';
COMMENT ON FUNCTION apikey.matches(text, text) IS 'Whether the verifier was made from the key. Slow: it hashes';

CREATE FUNCTION @extschema@.apikey_explain(key text, ip inet, tenant text DEFAULT '') RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    named CONSTANT text := split_part(key, '.', 1);
    k     apikey.key;
BEGIN
    IF key IS NULL OR key !~ '^[A-Za-z0-9]{8}\.[A-Za-z0-9]{32}$' THEN
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
        WHEN NOT (@extschema@.apikey_check(key, ip, tenant) ->> 'ip_valid')::boolean THEN
            format('refused: wrong address. %s is in none of %s', coalesce(host(ip), 'An unknown address'),
                   array_to_string(k.allowed_ips, ', '))
        ELSE 'accepted'
    END;
END
$$;
COMMENT ON FUNCTION @extschema@.apikey_explain(text, inet, text) IS 'Exactly why a key is refused from an address, or that it is accepted. For managers alone';

------------------------------------------------------------------------------------------------------
-- A key as the identity of a transaction, for row-level security
------------------------------------------------------------------------------------------------------

-- The identity is kept in the memory of the backend, where no setting and no other session reaches. It
-- ends with the transaction, and is what it was before when a savepoint is rolled back.
CREATE FUNCTION apikey.set_identity(prefix text) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE CALLED ON NULL INPUT SECURITY INVOKER
AS 'MODULE_PATHNAME', 'set_identity_wrapper';
COMMENT ON FUNCTION apikey.set_identity(text) IS 'Makes a key, or NULL nobody, the identity of the current transaction';

CREATE FUNCTION apikey.identity() RETURNS text
LANGUAGE c STABLE PARALLEL RESTRICTED STRICT SECURITY INVOKER
AS 'MODULE_PATHNAME', 'identity_wrapper';
COMMENT ON FUNCTION apikey.identity() IS 'The prefix of the key that is the identity of the current transaction, or NULL';

CREATE FUNCTION @extschema@.apikey_login(key text, ip inet, tenant text DEFAULT '') RETURNS boolean
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    decision CONSTANT @extschema@.apikey_decision := @extschema@.apikey_authorize(key, ip, NULL, tenant);
BEGIN
    PERFORM apikey.set_identity(CASE WHEN decision.allowed THEN decision.prefix END);
    RETURN decision.allowed;
END
$$;
COMMENT ON FUNCTION @extschema@.apikey_login(text, inet, text) IS 'Makes a valid key from a right address the identity of the current transaction. False: it is refused, and the transaction has no identity';

CREATE TYPE @extschema@.apikey_identity AS (
    prefix   text,
    name     text,
    owner    text,
    auth     jsonb,
    metadata jsonb,
    tenant   text
);
COMMENT ON TYPE @extschema@.apikey_identity IS 'Who the current transaction acts for, as apikey_current says';

CREATE FUNCTION @extschema@.apikey_current() RETURNS @extschema@.apikey_identity
LANGUAGE sql STABLE PARALLEL RESTRICTED SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT k.prefix, k.name, k.owner, k.auth, k.metadata, k.tenant
      FROM apikey.key AS k
     WHERE k.prefix = apikey.identity()
       AND k.revoked_at IS NULL
       AND k.disabled_at IS NULL
       AND (k.expires_at IS NULL OR k.expires_at > clock_timestamp());
END;
COMMENT ON FUNCTION @extschema@.apikey_current() IS 'The key that apikey_login made the identity of this transaction, or NULL: also when it was revoked since';

CREATE FUNCTION @extschema@.apikey_granted(scope text) RETURNS boolean
LANGUAGE sql STABLE PARALLEL RESTRICTED SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
RETURN coalesce(apikey.grants((@extschema@.apikey_current()).auth, scope), false);
COMMENT ON FUNCTION @extschema@.apikey_granted(text) IS 'Whether the key that this transaction acts for grants the scope';

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
       k.replaced_by
  FROM apikey.key AS k;
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

------------------------------------------------------------------------------------------------------
-- Nothing more is granted to anybody
------------------------------------------------------------------------------------------------------

-- As in a fresh install, but for the objects that were there before: their grants are somebody's decision.
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
            UNION ALL
            SELECT 'TYPE', o.oid::regtype::text, o.typowner, coalesce(o.typacl, acldefault('T', o.typowner))
              FROM member AS m JOIN pg_type AS o ON m.classid = 'pg_type'::regclass AND m.objid = o.oid
              JOIN pg_class AS c ON c.oid = o.typrelid AND c.relkind = 'c'
            UNION ALL
            SELECT 'SCHEMA', quote_ident(o.nspname), o.nspowner, o.nspacl
              FROM member AS m JOIN pg_namespace AS o ON m.classid = 'pg_namespace'::regclass AND m.objid = o.oid
        )
        SELECT DISTINCT o.kind, o.name, CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END AS grantee
          FROM object AS o CROSS JOIN aclexplode(o.acl) AS a
         WHERE a.grantee <> o.owner
           AND (o.kind, o.name) NOT IN (
                   ('SCHEMA', 'apikey'), ('TABLE', 'apikey.key'),
                   ('TABLE', '@extschema@.apikeys'::regclass::text),
                   ('FUNCTION', 'apikey.generate_key()'), ('FUNCTION', 'apikey.make_verifier(text)'),
                   ('FUNCTION', '@extschema@.apikey_revoke(text,text)'::regprocedure::text),
                   ('FUNCTION', '@extschema@.apikey_check(text,inet)'::regprocedure::text))
    LOOP
        EXECUTE format('REVOKE ALL ON %s %s FROM %s CASCADE', granted.kind, granted.name, granted.grantee);
    END LOOP;
END
$$;

-- What was granted on the old apikey_create. Postgres takes a grant in an extension's script for the
-- script's own, which pg_dump leaves to CREATE EXTENSION: these are somebody's, and shall be dumped.
DO $$
BEGIN
    EXECUTE current_setting('apikey_upgrade.grants');

    UPDATE pg_init_privs AS i
       SET initprivs = ARRAY[makeaclitem(p.proowner, p.proowner, 'EXECUTE', false)]
      FROM pg_proc AS p
     WHERE i.classoid = 'pg_proc'::regclass AND i.objoid = p.oid
       AND p.oid IN ('@extschema@.apikey_create(text, jsonb, inet, inet[], text, timestamptz, text, jsonb)'::regprocedure,
                     '@extschema@.apikey_create(text, text, inet, inet[], text, timestamptz, text, jsonb)'::regprocedure);
    -- Which roles stand there, noted by Postgres 17 and later.
    DELETE FROM pg_shdepend AS d
     WHERE d.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
       AND d.classid = 'pg_proc'::regclass AND d.deptype = 'i'
       AND d.objid IN ('@extschema@.apikey_create(text, jsonb, inet, inet[], text, timestamptz, text, jsonb)'::regprocedure,
                       '@extschema@.apikey_create(text, text, inet, inet[], text, timestamptz, text, jsonb)'::regprocedure);
END
$$;
