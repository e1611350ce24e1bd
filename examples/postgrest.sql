-- A pre-request function for PostgREST, which makes the key of a request the identity of its
-- transaction. Run it as the owner of the database, after examples/policy.sql, and name it in
-- PostgREST's configuration; the role that requests run as, here till, is db-anon-role:
--
--     psql -d DATABASE -f examples/postgrest.sql
--
--     db-pre-request = "authenticate"
--     db-anon-role = "till"
\set ON_ERROR_STOP on

BEGIN;

CREATE FUNCTION authenticate() RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    -- PostgREST writes the headers' names in lower case. It takes "Bearer" for a JWT of its own.
    headers CONSTANT json := nullif(current_setting('request.headers', true), '');
    key     CONSTANT text := coalesce(
        substring(headers ->> 'authorization' FROM '(?i)^api-key (.+)$'),
        headers ->> 'x-api-key');
BEGIN
    -- PostgREST does not say where a request came from, so that a key with an address rule is
    -- refused. Behind a proxy that sets X-Real-IP itself, whatever the client sent, the address is
    -- (headers ->> 'x-real-ip')::inet.
    IF NOT keys.apikey_login(key, NULL::inet) THEN
        -- Answered as 401. It says the same whatever is wrong with the key.
        RAISE SQLSTATE 'PT401' USING MESSAGE = 'The request carries no valid API key.';
    END IF;
END
$$;
REVOKE EXECUTE ON FUNCTION authenticate() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION authenticate() TO till;

COMMIT;
