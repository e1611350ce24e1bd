-- What becomes of each key in pg_temp.incoming. Not to be run alone.
--
-- * A key that is here already (the same prefix, tenant and time of creation) stays as it is.
-- * One whose prefix belongs to another key, here or in another tenant, is not imported: a prefix
--   names one key.
-- * One whose name its owner uses already for another live key gets its prefix added to the name:
--   "till (Map0K71T)". The oldest keeps the name.
-- * One that breaks another rule of apikey.key, such as a hash of an unknown form, is not imported.
-- * One that was revoked in Django is revoked. Django does not note when: the time is that of the
--   import.

UPDATE pg_temp.incoming AS i
   SET outcome = CASE
           WHEN k.tenant <> i.tenant OR k.created_at IS DISTINCT FROM i.created_at
               THEN 'not imported: another key here has this prefix'
           WHEN i.revoked AND k.revoked_at IS NULL THEN 'here already, but revoked in Django: use apikey_revoke'
           ELSE 'here already'
       END
  FROM apikey.key AS k
 WHERE k.prefix = i.prefix AND i.outcome IS NULL;

UPDATE pg_temp.incoming AS i
   SET outcome = 'not imported: a key of tenant ' || o.tenant || ' has this prefix, too'
  FROM pg_temp.incoming AS o
 WHERE o.prefix = i.prefix AND o.tenant <> i.tenant AND i.outcome IS NULL AND o.outcome IS NULL;

DO $$
DECLARE
    found  pg_temp.incoming;
    plain  text;
    label  text;
    result text;
    broken text;
BEGIN
    FOR found IN
        SELECT * FROM pg_temp.incoming AS i WHERE i.outcome IS NULL ORDER BY i.tenant, i.created_at, i.prefix
    LOOP
        plain := CASE WHEN found.name ~ '\S' THEN found.name ELSE 'unnamed' END;
        FOREACH label IN ARRAY ARRAY[plain, format('%s (%s)', plain, found.prefix)] LOOP
            BEGIN
                INSERT INTO apikey.key
                       (prefix, verifier, name, owner, auth, allowed_ips, tenant, metadata, created_at, expires_at,
                        revoked_at, revoked_by, revoke_reason)
                VALUES (found.prefix, found.verifier, label, found.owner, found.auth,
                        CASE WHEN found.ip ~ '\S' THEN ARRAY[found.ip::inet] END,
                        found.tenant, found.metadata, found.created_at,
                        -- Expired before it was made: expired all the same.
                        CASE WHEN found.expires_at < found.created_at THEN found.created_at ELSE found.expires_at END,
                        CASE WHEN found.revoked THEN greatest(now(), found.created_at) END,
                        CASE WHEN found.revoked THEN session_user END,
                        CASE WHEN found.revoked THEN 'revoked in Django' END);
                -- The table takes a row with a past as it is, since it may come from a dump. This
                -- one's scopes are looked at by an update that changes nothing, and so leaves no
                -- event.
                UPDATE apikey.key AS k SET auth = k.auth WHERE k.prefix = found.prefix;
                result := 'imported' || CASE WHEN label = found.name THEN '' ELSE format(' as %L', label) END;
                EXIT;
            EXCEPTION
                WHEN unique_violation THEN
                    GET STACKED DIAGNOSTICS broken = CONSTRAINT_NAME;
                    result := CASE broken
                        WHEN 'key_pkey' THEN 'not imported: another key has this prefix'
                        ELSE 'not imported: its owner uses this name, and the name with its prefix'
                    END;
                    EXIT WHEN broken = 'key_pkey';
                -- Postgres's own detail would show the row with its hash; the comment on a rule
                -- says what the rule is.
                WHEN check_violation THEN
                    GET STACKED DIAGNOSTICS broken = CONSTRAINT_NAME;
                    result := 'not imported: ' || coalesce(
                        (SELECT obj_description(c.oid, 'pg_constraint') FROM pg_constraint AS c
                          WHERE c.conrelid = 'apikey.key'::regclass AND c.conname = broken), broken);
                    EXIT;
                WHEN not_null_violation THEN
                    GET STACKED DIAGNOSTICS broken = COLUMN_NAME;
                    result := 'not imported: it has no ' || broken;
                    EXIT;
                -- An address that is none; a scope that is not in apikey.scope.
                WHEN invalid_text_representation OR invalid_parameter_value THEN
                    result := 'not imported: ' || SQLERRM;
                    EXIT;
            END;
        END LOOP;
        UPDATE pg_temp.incoming AS i SET outcome = result
         WHERE i.number = found.number;
    END LOOP;
END
$$;
