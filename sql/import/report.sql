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
