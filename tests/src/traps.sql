-- Functions, operators, types and tables that have the names of those that the shim's statements
-- use, and that lead whoever meets them to an answer of somebody else's.
CREATE SCHEMA traps;
GRANT USAGE ON SCHEMA traps TO PUBLIC;
CREATE TABLE traps.caught (what pg_catalog.text);
GRANT INSERT, SELECT ON traps.caught TO PUBLIC;

CREATE FUNCTION traps.note(what pg_catalog.text) RETURNS boolean SECURITY DEFINER
    LANGUAGE plpgsql SET search_path = traps, {role}, pg_catalog
    AS $$ BEGIN INSERT INTO caught VALUES (what); RETURN true; END $$;
CREATE FUNCTION traps.lie(what pg_catalog.text) RETURNS json SECURITY DEFINER
    LANGUAGE plpgsql SET search_path = traps, {role}, pg_catalog
    AS $$ BEGIN PERFORM note(what); RETURN '{"auth":"admin","ip_request":null,"ip_valid":true}'; END $$;

-- The functions that are called.
CREATE FUNCTION traps.apikey_check(pg_catalog.text, pg_catalog.inet) RETURNS json
    LANGUAGE plpgsql SET search_path = traps, {role}, pg_catalog AS $$ BEGIN RETURN lie('apikey_check'); END $$;
CREATE FUNCTION traps.apikey_check(pg_catalog.text, pg_catalog.inet, pg_catalog.text) RETURNS json
    LANGUAGE plpgsql SET search_path = traps, {role}, pg_catalog AS $$ BEGIN RETURN lie('apikey_check'); END $$;
CREATE FUNCTION traps.apikey_authorize(pg_catalog.text, pg_catalog.inet, pg_catalog.text, pg_catalog.text) RETURNS json
    LANGUAGE plpgsql SET search_path = traps, {role}, pg_catalog AS $$ BEGIN RETURN lie('apikey_authorize'); END $$;

-- What stands around them.
CREATE FUNCTION traps.unnest(pg_catalog.text[]) RETURNS SETOF pg_catalog.text
    LANGUAGE plpgsql SET search_path = traps, {role}, pg_catalog
    AS $$ BEGIN PERFORM note('unnest'); RETURN NEXT 'forged'; END $$;
CREATE FUNCTION traps.format(pg_catalog.text, VARIADIC pg_catalog.text[]) RETURNS pg_catalog.text
    LANGUAGE plpgsql SET search_path = traps, {role}, pg_catalog
    AS $$ BEGIN PERFORM note('format'); RETURN 'traps.apikey_check'; END $$;
CREATE FUNCTION traps.current_setting(pg_catalog.text, boolean) RETURNS pg_catalog.text
    LANGUAGE plpgsql SET search_path = traps, {role}, pg_catalog
    AS $$ BEGIN PERFORM note('current_setting'); RETURN ''; END $$;
CREATE FUNCTION traps.current_setting(pg_catalog.text) RETURNS pg_catalog.text
    LANGUAGE plpgsql SET search_path = traps, {role}, pg_catalog
    AS $$ BEGIN PERFORM note('current_setting'); RETURN ''; END $$;
CREATE FUNCTION traps.set_config(pg_catalog.text, pg_catalog.text, boolean) RETURNS pg_catalog.text
    LANGUAGE plpgsql SET search_path = traps, {role}, pg_catalog
    AS $$ BEGIN PERFORM note('set_config'); RETURN ''; END $$;
CREATE FUNCTION traps.pg_is_in_recovery() RETURNS boolean
    LANGUAGE plpgsql SET search_path = traps, {role}, pg_catalog AS $$ BEGIN RETURN note('recovery'); END $$;
CREATE FUNCTION traps.has_function_privilege(oid, pg_catalog.text) RETURNS boolean
    LANGUAGE plpgsql SET search_path = traps, {role}, pg_catalog AS $$ BEGIN RETURN note('has_function_privilege'); END $$;
CREATE FUNCTION traps.has_schema_privilege(oid, pg_catalog.text) RETURNS boolean
    LANGUAGE plpgsql SET search_path = traps, {role}, pg_catalog AS $$ BEGIN RETURN note('has_schema_privilege'); END $$;
CREATE FUNCTION traps.to_regprocedure(pg_catalog.text) RETURNS regprocedure
    LANGUAGE plpgsql SET search_path = traps, {role}, pg_catalog
    AS $$ BEGIN PERFORM note('to_regprocedure'); RETURN 0; END $$;

-- Operators: everything is equal.
DO $$
DECLARE
    type pg_catalog.text;
BEGIN
    FOREACH type IN ARRAY ARRAY['text', 'name', 'oid', 'boolean', 'bigint', 'json', 'inet', '"char"', 'regprocedure'] LOOP
        EXECUTE pg_catalog.format(
            'CREATE FUNCTION traps.equal(pg_catalog.%1$s, pg_catalog.%1$s) RETURNS boolean
                 LANGUAGE plpgsql SET search_path = traps, {role}, pg_catalog AS ''BEGIN RETURN note(''''= of %2$s''''); END'';
             CREATE OPERATOR traps.= (leftarg = pg_catalog.%1$s, rightarg = pg_catalog.%1$s, function = traps.equal)',
            CASE type WHEN 'boolean' THEN 'bool' WHEN 'bigint' THEN 'int8' ELSE type END, pg_catalog.replace(type, '"', ''));
    END LOOP;
END
$$;

-- Relations, which say that the extension is here.
CREATE VIEW traps.pg_extension AS SELECT 1::oid AS oid, 'apikey'::name AS extname, 2200::oid AS extnamespace, '9.9'::pg_catalog.text AS extversion;
CREATE VIEW traps.pg_depend AS SELECT d.* FROM pg_catalog.pg_depend AS d WHERE traps.note('pg_depend');
CREATE VIEW traps.pg_proc AS SELECT p.* FROM pg_catalog.pg_proc AS p WHERE traps.note('pg_proc');
CREATE VIEW traps.pg_namespace AS SELECT n.* FROM pg_catalog.pg_namespace AS n WHERE traps.note('pg_namespace');
GRANT SELECT ON ALL TABLES IN SCHEMA traps TO PUBLIC;

-- Types, last, for what stands above means Postgres's own.
CREATE DOMAIN traps.inet AS pg_catalog.inet CHECK (traps.note('type inet'));
CREATE DOMAIN traps.oid AS pg_catalog.oid CHECK (traps.note('type oid'));
CREATE DOMAIN traps.text AS pg_catalog.text CHECK (traps.note('type text'));
