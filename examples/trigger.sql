-- A trigger that notes which key wrote a row. Run it as the owner of the table, after
-- examples/policy.sql:
--
--     psql -d DATABASE -f examples/trigger.sql
\set ON_ERROR_STOP on

BEGIN;

ALTER TABLE sale ADD COLUMN written_with text;

-- The function runs as whoever writes the row. apikey_current() is named with its schema, or the
-- writer could put one of its own before the real one; and the search_path is pinned, for all that
-- has no schema.
CREATE FUNCTION note_key() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    NEW.written_with := (keys.apikey_current()).prefix;
    RETURN NEW;
END
$$;

CREATE TRIGGER note_key BEFORE INSERT OR UPDATE ON sale
    FOR EACH ROW EXECUTE FUNCTION note_key();

COMMIT;
