-- What the audit trail and the keys say against each other, one line each, or none: the last value
-- of a column that the trail has is the row's, each change starts where the one before ended, and
-- what can be done once was noted once.
WITH noted AS (
    SELECT e.prefix, e.at, c.key AS name,
           CASE WHEN e.action IN ('create', 'delete') THEN c.value ELSE c.value -> 'to' END AS value,
           CASE e.action WHEN 'create' THEN NULL WHEN 'delete' THEN c.value ELSE c.value -> 'from' END AS before
      FROM apikey.event AS e CROSS JOIN jsonb_each(e.changed) AS c
), step AS (
    SELECT *, lag(value) OVER trail AS expected FROM noted
    WINDOW trail AS (PARTITION BY prefix, name ORDER BY at)
), last AS (
    SELECT DISTINCT ON (prefix, name) prefix, name, value FROM noted ORDER BY prefix, name, at DESC
), row AS (
    SELECT k.prefix, c.key AS name, c.value
      FROM apikey.key AS k CROSS JOIN jsonb_each(to_jsonb(k)) AS c WHERE c.key NOT IN ('verifier', 'tag')
)
SELECT coalesce(string_agg(line, E'\n'), 'none') FROM (
    SELECT format('%s: %s was %s and changed from %s', prefix, name, expected, before) AS line FROM step
     WHERE before IS NOT NULL AND before <> coalesce(expected, 'null')
    UNION ALL
    SELECT format('%s: %s is %s, noted is %s', prefix, name, r.value, l.value)
      FROM row AS r LEFT JOIN last AS l USING (prefix, name) WHERE r.value <> coalesce(l.value, 'null')
    UNION ALL
    SELECT format('%s: %s creations, %s deletions, %s rotations, %s revocations', prefix, c, d, r, v)
      FROM (SELECT prefix,
                   count(*) FILTER (WHERE action = 'create') AS c, count(*) FILTER (WHERE action = 'delete') AS d,
                   count(*) FILTER (WHERE action = 'rotate') AS r, count(*) FILTER (WHERE action = 'revoke') AS v
              FROM apikey.event GROUP BY prefix) AS trail
     WHERE c <> 1 OR r > 1 OR v > 1
        OR d <> CASE WHEN EXISTS (SELECT FROM apikey.key AS k WHERE k.prefix = trail.prefix) THEN 0 ELSE 1 END
    UNION ALL
    SELECT format('%s: replaced by %s, which was never created', prefix, replaced_by) FROM apikey.key AS k
     WHERE NOT EXISTS (SELECT FROM apikey.event AS e WHERE e.prefix = k.replaced_by AND e.action = 'create')
       AND replaced_by IS NOT NULL
) AS contradiction
