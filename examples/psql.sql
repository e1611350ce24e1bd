-- A decision about a key, and acting for it, from psql. Run it as a role that is no more than a
-- checker, after examples/policy.sql:
--
--     API_KEY=... psql -d DATABASE -U till -f examples/psql.sql
--
-- The key goes in as data. In the text of a statement it would be in the log of a server that logs
-- statements.
\set ON_ERROR_STOP on
\pset footer off

BEGIN;

CREATE TEMP TABLE asked (key text) ON COMMIT DROP;
\copy asked FROM PROGRAM 'printenv API_KEY'

-- The second argument is the address of whoever uses the key.
SELECT d.allowed, d.reason, d.owner
  FROM asked, keys.apikey_authorize(asked.key, inet '192.0.2.1', text 'sale.write') AS d;

SELECT keys.apikey_login(key, inet '192.0.2.1') AS logged_in FROM asked;

-- From here to the end of the transaction, policies see the owner of the key.
SELECT article FROM sale ORDER BY id;

COMMIT;
