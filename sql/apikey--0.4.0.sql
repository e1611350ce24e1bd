-- apikey 0.4.0: the install script, written by hand to be read from top to bottom.
--
-- Storage lives in the schema "apikey"; the functions and the view that people call live in the
-- schema that CREATE EXTENSION names (by default the current one). Whoever may create functions
-- there can give one a name of ours, with one more argument that has a default, and then no call by
-- that name is unique. So what these functions do is done by functions of the schema apikey, where
-- nobody but the owner creates anything: each has one name, one list of arguments and no defaults.
-- The shim, the admin page and all code below call those alone.
--
-- Who may do what: nothing is granted to anybody; the last statement takes back what Postgres
-- grants to PUBLIC and what ALTER DEFAULT PRIVILEGES may have granted. EXECUTE on a function is all
-- that a caller needs: checks read the table past its grants, the other functions that people call
-- run with the rights of the extension's owner. Each of these pins its search_path, with pg_temp
-- last, so that no caller can slip in an object of its own.
--
-- Locks: a check takes the locks of a SELECT by primary key. Creating and revoking lock their row
-- alone.

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
    -- Set for a database by its owner, this would make other rules of the patterns below.
    IF current_setting('standard_conforming_strings') <> 'on' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = 'apikey is not installed while standard_conforming_strings is off',
            HINT = 'SET standard_conforming_strings = on, and do this again.';
    END IF;
END
$$;

----------------------------------------------------------------------------------------------------
-- Storage
----------------------------------------------------------------------------------------------------

CREATE SCHEMA apikey;
COMMENT ON SCHEMA apikey IS 'Storage and internals of the extension apikey';

-- Each rule below is a constraint that says why it refuses a row: the comment on it is the hint
-- that whoever breaks it is given. Postgres's own error would have no hint, and show the row with
-- its hash.
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

-- A plain INSERT, UPDATE or DELETE is a first-class way to manage keys: every rule about a key is a
-- constraint or a trigger of this table. No rule depends on the database's locale.
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
    tenant        text NOT NULL DEFAULT '',
    metadata      jsonb NOT NULL DEFAULT '{}',
    replaced_by   text COLLATE "C",
    tag           integer,

    CONSTRAINT key_pkey PRIMARY KEY (prefix),
    CONSTRAINT prefix_shape CHECK (
        prefix ~ '^[A-Za-z0-9_-]{1,8}$'
        OR apikey.refuse_row('prefix_shape')),
    CONSTRAINT verifier_shape CHECK (
        verifier ~ '^\$argon2id\$v=19\$m=[0-9]{1,6},t=[0-9]{1,2},p=[0-9]{1,2}\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$'
        OR verifier ~ '^argon2\$argon2id\$v=19\$m=[0-9]{1,6},t=[0-9]{1,2},p=[0-9]{1,2}\$[A-Za-z0-9+/]{11,64}\$[A-Za-z0-9+/]{22,86}$'
        OR verifier ~ '^pbkdf2_sha256\$[0-9]{1,7}\$[A-Za-z0-9]{1,128}\$[A-Za-z0-9+/]{43}=$'
        OR verifier ~ '^sha512\$\$[0-9a-f]{128}$'
        OR apikey.refuse_row('verifier_shape')),
    CONSTRAINT name_not_blank CHECK (
        name COLLATE "C" ~ '\S' AND length(name) <= 200
        OR apikey.refuse_row('name_not_blank')),
    CONSTRAINT owner_not_blank CHECK (
        owner COLLATE "C" ~ '\S' AND length(owner) <= 200
        OR apikey.refuse_row('owner_not_blank')),
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
        OR apikey.refuse_row('auth_shape')),
    CONSTRAINT allowed_ips_not_empty CHECK (
        CASE
            WHEN allowed_ips IS NULL THEN true
            WHEN array_ndims(allowed_ips) = 1 THEN
                cardinality(allowed_ips) <= 64 AND array_position(allowed_ips, NULL) IS NULL
            ELSE false
        END
        OR apikey.refuse_row('allowed_ips_not_empty')),
    CONSTRAINT tenant_shape CHECK (
        length(tenant) <= 200 AND tenant COLLATE "C" !~ '^\s|\s$'
        OR apikey.refuse_row('tenant_shape')),
    CONSTRAINT metadata_is_object CHECK (
        jsonb_typeof(metadata) = 'object' AND length(metadata::text) <= 8192
        OR apikey.refuse_row('metadata_is_object')),
    CONSTRAINT replaced_by_shape CHECK (
        replaced_by IS NULL
        OR replaced_by ~ '^[A-Za-z0-9]{8}$' AND replaced_by <> prefix
        OR apikey.refuse_row('replaced_by_shape')),
    CONSTRAINT tag_of_argon2id CHECK (
        tag IS NULL OR verifier LIKE '$argon2id$%'
        OR apikey.refuse_row('tag_of_argon2id')),
    CONSTRAINT expires_after_creation CHECK (
        expires_at IS NULL OR expires_at >= created_at
        OR apikey.refuse_row('expires_after_creation')),
    CONSTRAINT disabled_after_creation CHECK (
        disabled_at IS NULL OR disabled_at >= created_at
        OR apikey.refuse_row('disabled_after_creation')),
    CONSTRAINT revoked_after_creation CHECK (
        revoked_at IS NULL OR revoked_at >= created_at
        OR apikey.refuse_row('revoked_after_creation')),
    CONSTRAINT revoked_details CHECK (
        (revoked_at IS NULL) = (revoked_by IS NULL) AND (revoked_at IS NOT NULL OR revoke_reason IS NULL)
        OR apikey.refuse_row('revoked_details'))
);

CREATE UNIQUE INDEX key_tenant_owner_name_live
    ON apikey.key (tenant COLLATE "C", owner COLLATE "C", name COLLATE "C")
 WHERE revoked_at IS NULL AND replaced_by IS NULL;

-- pg_dump leaves the rows of an extension's tables out unless they are named here.
SELECT pg_extension_config_dump('apikey.key', '');

COMMENT ON TABLE apikey.key IS 'API keys: what each may do, and the hash that it is checked against';
COMMENT ON COLUMN apikey.key.prefix IS 'The public half of the key PREFIX.SECRET, which names it in lists, logs and errors';
COMMENT ON COLUMN apikey.key.verifier IS 'Hash of the whole key: an Argon2id PHC string, or what Django stored until the key is used for the first time; the key itself is stored nowhere';
COMMENT ON COLUMN apikey.key.name IS 'What the key is for; unique among the live keys (not revoked, not replaced) of its owner in a tenant';
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
COMMENT ON COLUMN apikey.key.tenant IS 'The tenant that the key is valid in; empty: the one tenant of those who have no tenants';
COMMENT ON COLUMN apikey.key.metadata IS 'Whatever else applications want to know about the key: a JSON object, at most 8192 characters long';
COMMENT ON COLUMN apikey.key.replaced_by IS 'Prefix of the key that took its place in a rotation';
COMMENT ON COLUMN apikey.key.tag IS '32 bits of a fast hash of the key, by which a wrong secret is refused without the slow one; NULL where the secret may have been chosen by a person';
COMMENT ON CONSTRAINT key_pkey ON apikey.key IS 'A prefix names one key.';
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

----------------------------------------------------------------------------------------------------
-- Known scopes
----------------------------------------------------------------------------------------------------

-- While this is empty, any name may stand in auth.
CREATE TABLE apikey.scope (
    name        text COLLATE "C" NOT NULL,
    description text NOT NULL,

    CONSTRAINT scope_pkey PRIMARY KEY (name),
    CONSTRAINT scope_name_shape CHECK (
        name ~ '^[A-Za-z0-9_.:/-]{1,64}$'
        OR apikey.refuse_row('scope_name_shape')),
    CONSTRAINT scope_description_not_blank CHECK (
        description COLLATE "C" ~ '\S'
        OR apikey.refuse_row('scope_description_not_blank'))
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

-- A row that was created earlier, and comes from a dump or from Django, is taken as it is: its
-- scope may have been retired since.
CREATE TRIGGER new_scopes_are_known BEFORE INSERT ON apikey.key FOR EACH ROW
WHEN (NEW.created_at = now())
EXECUTE FUNCTION apikey.refuse_unknown_scope();
COMMENT ON TRIGGER new_scopes_are_known ON apikey.key IS 'A typo in the auth of a new key is an error, once the known scopes are in apikey.scope';

CREATE TRIGGER scopes_are_known BEFORE UPDATE OF auth ON apikey.key FOR EACH ROW
EXECUTE FUNCTION apikey.refuse_unknown_scope();
COMMENT ON TRIGGER scopes_are_known ON apikey.key IS 'A typo in auth is an error, once the known scopes are in apikey.scope';

----------------------------------------------------------------------------------------------------
-- Revocation is final
----------------------------------------------------------------------------------------------------

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

-- ALWAYS: session_replication_role = replica does not switch them off.
ALTER TABLE apikey.key ENABLE ALWAYS TRIGGER revocation_is_final;
ALTER TABLE apikey.key ENABLE ALWAYS TRIGGER prefix_is_fixed;
ALTER TABLE apikey.key ENABLE ALWAYS TRIGGER keys_are_deleted_one_by_one;

----------------------------------------------------------------------------------------------------
-- The audit trail
----------------------------------------------------------------------------------------------------

-- Written by the triggers of apikey.key, so that a plain UPDATE leaves the same trail as a
-- function. No sequence numbers it: a restored trail and the events of the restore itself stand
-- side by side.
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
    CONSTRAINT event_action CHECK (
        action IN ('create', 'import', 'change', 'rotate', 'disable', 'enable', 'revoke', 'delete')
        OR apikey.refuse_row('event_action'))
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

----------------------------------------------------------------------------------------------------
-- Creating a key
----------------------------------------------------------------------------------------------------

CREATE FUNCTION apikey.generate_key() RETURNS text
LANGUAGE c VOLATILE PARALLEL UNSAFE STRICT SECURITY INVOKER
AS 'MODULE_PATHNAME', 'generate_key_wrapper';
COMMENT ON FUNCTION apikey.generate_key() IS 'Draws a key from the operating system''s random source, and stores nothing';

CREATE FUNCTION apikey.make_verifier(key text) RETURNS text
LANGUAGE c VOLATILE PARALLEL UNSAFE STRICT SECURITY INVOKER
AS 'MODULE_PATHNAME', 'make_verifier_wrapper';
COMMENT ON FUNCTION apikey.make_verifier(text) IS 'Argon2id hash of a key as a PHC string, at the cost of the settings apikey.argon2_*';

CREATE FUNCTION apikey.make_tag(key text, verifier text) RETURNS integer
LANGUAGE c IMMUTABLE PARALLEL SAFE STRICT SECURITY INVOKER
AS 'MODULE_PATHNAME', 'make_tag_wrapper';
COMMENT ON FUNCTION apikey.make_tag(text, text) IS '32 bits of a fast hash of a key and its verifier. For keys of generate_key alone: a chosen secret has too few bits to give any away';

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
LANGUAGE sql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
RETURN apikey.create_key(name, auth, ip, ips, owner, expires_at, tenant, metadata);
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
RETURN apikey.create_key(name, to_jsonb(auth), ip, ips, owner, expires_at, tenant, metadata);
COMMENT ON FUNCTION @extschema@.apikey_create(text, text, inet, inet[], text, timestamptz, text, jsonb) IS 'Creates an API key and returns it, the only time that it can be seen. auth is one level; ip one address or network, ips several';

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
-- Whether a key has ended
----------------------------------------------------------------------------------------------------

-- Decided by this one function, which a check calls, too: for all that is shown of a key, and done
-- to it.
CREATE FUNCTION apikey.ended(revoked_at timestamptz, expires_at timestamptz, disabled_at timestamptz) RETURNS text
LANGUAGE c VOLATILE PARALLEL SAFE CALLED ON NULL INPUT SECURITY INVOKER
AS 'MODULE_PATHNAME', 'ended_wrapper';
COMMENT ON FUNCTION apikey.ended(timestamptz, timestamptz, timestamptz) IS 'How the key of a row with these times has ended by now: revoked, expired or disabled, the first that is true; NULL: it is live. Whoever reads the view apikeys needs EXECUTE on it';

----------------------------------------------------------------------------------------------------
-- Rotating, disabling and revoking a key
----------------------------------------------------------------------------------------------------

-- From here on, a function that is given a key and calls another one is in PL/pgSQL and does
-- nothing but that: a call by RETURN there is no statement. A function in SQL would have the key
-- among the parameters of one.

CREATE FUNCTION apikey.find_prefix(key text) RETURNS text
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
COMMENT ON FUNCTION apikey.find_prefix(text) IS 'The prefix of a key that is named by it, or by the whole key; an error when there is none';

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

CREATE FUNCTION @extschema@.apikey_revoke(key text, reason text DEFAULT NULL) RETURNS boolean
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN apikey.revoke_key(key, reason);
END
$$;
COMMENT ON FUNCTION @extschema@.apikey_revoke(text, text) IS 'Revokes a key for good, by its prefix or by the whole key. True: revoked now; false: it was revoked before';

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

CREATE FUNCTION @extschema@.apikey_disable(key text) RETURNS boolean
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN apikey.disable_key(key);
END
$$;
COMMENT ON FUNCTION @extschema@.apikey_disable(text) IS 'Disables a key until apikey_enable, by its prefix or by the whole key. True: disabled now; false: it was before, or is revoked';

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

CREATE FUNCTION @extschema@.apikey_enable(key text) RETURNS boolean
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN apikey.enable_key(key);
END
$$;
COMMENT ON FUNCTION @extschema@.apikey_enable(text) IS 'Enables a disabled key again, by its prefix or by the whole key. True: enabled now; false: it was not disabled. An error for a revoked one';

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

CREATE FUNCTION @extschema@.apikey_rotate(key text, grace interval DEFAULT '0') RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN apikey.rotate_key(key, grace);
END
$$;
COMMENT ON FUNCTION @extschema@.apikey_rotate(text, interval) IS 'Replaces a key by a new one of the same identity, and returns that, the only time that it can be seen. The old key stays valid for the grace; without one it is revoked at once';

----------------------------------------------------------------------------------------------------
-- Checking a key
----------------------------------------------------------------------------------------------------

-- These read apikey.key by its primary key's index and ask for nobody's rights on it: EXECUTE here
-- is the right to check. They run no query whose names a search_path could change, write nothing
-- and take no transaction id. A hash that is not of the cost that is set (or is Django's) is
-- renewed in shared memory, and stored by the worker that stores the use of keys. VOLATILE, since
-- they read the clock and count each call; PARALLEL SAFE, since they count in memory that parallel
-- workers share.
CREATE FUNCTION @extschema@.apikey_check(key text, ip inet) RETURNS json
LANGUAGE c VOLATILE PARALLEL SAFE CALLED ON NULL INPUT SECURITY INVOKER
AS 'MODULE_PATHNAME', 'apikey_check_wrapper';
COMMENT ON FUNCTION @extschema@.apikey_check(text, inet) IS 'What a valid key may do and whether it may from this address: {"auth":…,"ip_request":"…","ip_valid":…}. NULL for a key that is not valid, whatever is wrong with it';

CREATE FUNCTION @extschema@.apikey_check(key text, ip inet, tenant text) RETURNS json
LANGUAGE c VOLATILE PARALLEL SAFE CALLED ON NULL INPUT SECURITY INVOKER
AS 'MODULE_PATHNAME', 'check_in_tenant_wrapper';
COMMENT ON FUNCTION @extschema@.apikey_check(text, inet, text) IS 'The same for the keys of one tenant: another tenant''s key is not valid';

CREATE FUNCTION apikey.check_key(key text, ip inet, tenant text) RETURNS json
LANGUAGE c VOLATILE PARALLEL SAFE CALLED ON NULL INPUT SECURITY INVOKER
AS 'MODULE_PATHNAME', 'check_in_tenant_wrapper';
COMMENT ON FUNCTION apikey.check_key(text, inet, text) IS 'What apikey_check does, for callers that name a function of this schema';

-- For callers that must not wait behind slow hashes, as the shim, which asks it first.
CREATE FUNCTION apikey.check_key_at_once(key text, ip inet, tenant text) RETURNS json
LANGUAGE c VOLATILE PARALLEL SAFE CALLED ON NULL INPUT SECURITY INVOKER
AS 'MODULE_PATHNAME', 'check_key_at_once_wrapper';
COMMENT ON FUNCTION apikey.check_key_at_once(text, inet, text) IS 'What apikey.check_key says, or {"needs_hash":true} where only a slow hash can tell, and then nothing is counted';

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

CREATE FUNCTION @extschema@.apikey_authorize(key text, ip inet, scope text DEFAULT NULL, tenant text DEFAULT '')
RETURNS @extschema@.apikey_decision
LANGUAGE c VOLATILE PARALLEL SAFE CALLED ON NULL INPUT SECURITY INVOKER
AS 'MODULE_PATHNAME', 'authorize_key_wrapper';
COMMENT ON FUNCTION @extschema@.apikey_authorize(text, inet, text, text) IS 'Whether the key may do this from here, why not, and who the caller is. Without a scope, a valid key from a right address is allowed';

-- Only a manager learns why a key is refused: the public answer does not help anybody guess.
CREATE FUNCTION apikey.matches(key text, verifier text) RETURNS boolean
LANGUAGE c VOLATILE PARALLEL SAFE STRICT SECURITY INVOKER
AS 'MODULE_PATHNAME', 'matches_wrapper';
COMMENT ON FUNCTION apikey.matches(text, text) IS 'Whether the verifier was made from the key. Slow: it hashes';

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

CREATE FUNCTION @extschema@.apikey_explain(key text, ip inet, tenant text DEFAULT '') RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN apikey.explain_key(key, ip, tenant);
END
$$;
COMMENT ON FUNCTION @extschema@.apikey_explain(text, inet, text) IS 'Exactly why a key is refused from an address, or that it is accepted. For managers alone';

----------------------------------------------------------------------------------------------------
-- A key as the identity of a transaction, for row-level security
----------------------------------------------------------------------------------------------------

-- The identity is kept in the memory of the backend, where no setting and no other session reaches.
-- It ends with the transaction, and is what it was before when a savepoint is rolled back.
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
    decision CONSTANT @extschema@.apikey_decision := apikey.authorize_key(key, ip, NULL, tenant);
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
       AND apikey.ended(k.revoked_at, k.expires_at, k.disabled_at) IS NULL;
END;
COMMENT ON FUNCTION @extschema@.apikey_current() IS 'The key that apikey_login made the identity of this transaction, or NULL: also when it was revoked since';

-- Whether an auth grants a scope is decided by this one function, as for apikey_authorize.
CREATE FUNCTION apikey.grants(auth jsonb, scope text) RETURNS boolean
LANGUAGE c IMMUTABLE PARALLEL SAFE STRICT SECURITY INVOKER
AS 'MODULE_PATHNAME', 'grants_wrapper';
COMMENT ON FUNCTION apikey.grants(jsonb, text) IS 'Whether auth grants the scope: it is the level, stands in the list, or is true in the object';

CREATE FUNCTION @extschema@.apikey_granted(scope text) RETURNS boolean
LANGUAGE sql STABLE PARALLEL RESTRICTED SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
RETURN coalesce(apikey.grants((@extschema@.apikey_current()).auth, scope), false);
COMMENT ON FUNCTION @extschema@.apikey_granted(text) IS 'Whether the key that this transaction acts for grants the scope';

----------------------------------------------------------------------------------------------------
-- The use of keys
----------------------------------------------------------------------------------------------------

-- A check writes nothing: uses are counted in shared memory, and stored here by a background
-- worker. The slot of memory that a key is counted in has a number of its own; a row says how much
-- of that slot is in its counts, so that nothing is added twice. No foreign key: a dump can be
-- restored table by table, in any order.
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
    CONSTRAINT usage_counts CHECK (
        accepted >= 0 AND refused >= 0 AND slot_accepted >= 0 AND slot_refused >= 0
        OR apikey.refuse_row('usage_counts')),
    CONSTRAINT usage_address_of_a_use CHECK (
        last_used_at IS NOT NULL OR last_used_ip IS NULL
        OR apikey.refuse_row('usage_address_of_a_use'))
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

----------------------------------------------------------------------------------------------------
-- Looking at keys
----------------------------------------------------------------------------------------------------

CREATE VIEW @extschema@.apikeys AS
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

----------------------------------------------------------------------------------------------------
-- Watching checks
----------------------------------------------------------------------------------------------------

CREATE FUNCTION apikey.stats(OUT name text, OUT value bigint) RETURNS SETOF record
LANGUAGE c VOLATILE PARALLEL UNSAFE STRICT SECURITY INVOKER
AS 'MODULE_PATHNAME', 'stats_wrapper';
COMMENT ON FUNCTION apikey.stats() IS 'What the checks came to: of the whole server since it started, or of this connection where apikey is not preloaded';

CREATE VIEW @extschema@.apikey_stats AS
SELECT s.name, s.value FROM apikey.stats() AS s;
COMMENT ON VIEW @extschema@.apikey_stats IS 'What the checks of API keys came to: of the whole server since it started, or of this connection where apikey is not preloaded';
COMMENT ON COLUMN @extschema@.apikey_stats.name IS 'accepted and wrong_address: checks of valid keys. malformed, unknown_prefix, wrong_secret, wrong_tenant, revoked, disabled, expired: refused ones. proof_hits, proof_misses, proof_evictions: whether the proof that a key matches its hash was in memory. hashes: runs of a slow hash; hash_waits: how many of these waited for their turn. usage_dropped: uses that were not counted for their key, for want of room. preloaded: 1 where the numbers are of the whole server';
COMMENT ON COLUMN @extschema@.apikey_stats.value IS 'How often';

----------------------------------------------------------------------------------------------------
-- Nothing is granted to anybody
----------------------------------------------------------------------------------------------------

-- Postgres grants EXECUTE on functions and USAGE on types to PUBLIC, and ALTER DEFAULT PRIVILEGES
-- may have granted more: all of it is taken back, whoever has it. deploy/roles.sql grants what is
-- wanted.
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
    LOOP
        EXECUTE format('REVOKE ALL ON %s %s FROM %s CASCADE', granted.kind, granted.name, granted.grantee);
    END LOOP;
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
