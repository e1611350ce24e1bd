-- A trigger that notes which key wrote a row. Run it as the owner of the table, after examples/policy.sql:
--
--     psql -d DATABASE -f examples/trigger.sql
\set ON_ERROR_STOP on

BEGIN;

ALTER TABLE sale ADD COLUMN written_with text;

-- The function runs as whoever writes the row. The search_path is pinned (here to the schema that has the extension),
-- or the writer could put an apikey_current() of its own before the real one.
CREATE FUNCTION note_key() RETURNS trigger
LANGUAGE plpgsql
SET search_path = public, pg_temp
AS $$
BEGIN
    NEW.written_with := (apikey_current()).prefix;
    RETURN NEW;
END
$$;

CREATE TRIGGER note_key BEFORE INSERT OR UPDATE ON sale
    FOR EACH ROW EXECUTE FUNCTION note_key();

COMMIT;
