-- Rows that belong to the owners of keys: row-level security that asks whose key it is. Run it as
-- the owner of the database, after deploy/roles.sql, when the application has its role: CREATE ROLE
-- till LOGIN IN ROLE apikey_checker. The extension is in the schema keys: CREATE SCHEMA keys;
-- CREATE EXTENSION apikey SCHEMA keys.
--
--     psql -d DATABASE -f examples/policy.sql
\set ON_ERROR_STOP on

BEGIN;

CREATE TABLE sale (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- Whoever's key writes a row owns it.
    owner   text NOT NULL DEFAULT (keys.apikey_current()).owner,
    article text NOT NULL
);
CREATE INDEX ON sale (owner);

-- Without a key, apikey_current() is NULL, and NULL equals nothing: no rows. The sub-SELECT asks
-- once per statement instead of once per row.
ALTER TABLE sale ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON sale
    USING (owner = (SELECT (keys.apikey_current()).owner));

-- RESTRICTIVE: in addition to the above, which lets in all rows of one's own.
CREATE POLICY scope_to_write ON sale AS RESTRICTIVE FOR INSERT
    WITH CHECK ((SELECT keys.apikey_granted('sale.write')));

GRANT SELECT, INSERT ON sale TO till;

COMMIT;
