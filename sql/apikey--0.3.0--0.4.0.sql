-- apikey 0.3.0 to 0.4.0. What is new is the same text as in apikey--0.4.0.sql; what changes stands here first.

\echo Use "ALTER EXTENSION apikey UPDATE" to load this file. \quit

-- Names below are found in pg_catalog, or written in full.
SET LOCAL search_path = pg_catalog, pg_temp;
