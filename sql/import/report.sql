-- What an import reports about the keys. Not to be run alone.

\echo
\if :dry_run
  \echo 'DRY RUN: this is what would be done.'
\endif
\echo 'Keys; those to look at come first'
SELECT i.tenant, i.prefix, i.name, i.owner, i.ip,
       CASE WHEN i.revoked THEN 'revoked' WHEN i.expires_at <= now() THEN 'expired' ELSE 'live' END AS in_django,
       i.outcome, i.auth
  FROM pg_temp.incoming AS i
 ORDER BY i.outcome IN ('imported', 'here already'), i.tenant, i.created_at, i.prefix;

\echo 'Together'
SELECT coalesce(i.tenant, 'all') AS tenant,
       count(*) AS found,
       count(*) FILTER (WHERE i.outcome LIKE 'imported%') AS imported,
       count(*) FILTER (WHERE i.outcome LIKE 'here already%') AS here_already,
       count(*) FILTER (WHERE i.outcome LIKE 'not imported%') AS not_imported
  FROM pg_temp.incoming AS i
 GROUP BY ROLLUP (i.tenant)
 ORDER BY grouping(i.tenant), i.tenant;

\echo 'Tables of keys in this database, and where their keys are now'
SELECT s.name AS "table",
       CASE WHEN s.unfit IS NULL OR count(f.number) > 0 THEN count(f.number) END AS keys,
       count(*) FILTER (WHERE o.outcome LIKE 'imported%') AS imported,
       count(*) FILTER (WHERE o.outcome LIKE 'here already%') AS here_already,
       count(*) FILTER (WHERE o.outcome LIKE 'not imported%') AS not_imported,
       coalesce('No key of it can be imported: ' || s.unfit, s.remark) AS remark
  FROM pg_temp.source AS s
  LEFT JOIN pg_temp.found AS f ON f.source = s.relation
  LEFT JOIN pg_temp.incoming AS i ON i.number = f.number
 CROSS JOIN LATERAL (
       SELECT CASE
                  WHEN i.number IS NOT NULL THEN i.outcome
                  WHEN f.number IS NULL THEN NULL
                  WHEN EXISTS (SELECT FROM apikey.key AS k
                                WHERE k.prefix = f.prefix AND k.created_at = f.created
                                  AND k.tenant = coalesce(s.tenant, k.tenant)) THEN 'here already'
                  ELSE 'not imported'
              END AS outcome
 ) AS o
 GROUP BY s.name, s.unfit, s.remark
 ORDER BY s.unfit IS NULL, count(*) FILTER (WHERE o.outcome LIKE 'not imported%') = 0, s.name COLLATE "C";

\echo 'A hash does not say what the key looks like, so nothing was looked at but the hash. A key works here if its'
\echo 'secret has 1 to 128 characters of A-Z a-z 0-9 - . _ ~ + / (and = at the end), and the hash is of PREFIX.SECRET.'
\echo
