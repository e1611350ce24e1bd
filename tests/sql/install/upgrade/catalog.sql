-- Everything that the catalog says about the extension's objects, as lines that can be compared
-- between two databases: no oid, and nothing that depends on rows or on when something was made.
WITH extension AS (
    SELECT * FROM pg_extension WHERE extname = 'apikey'
), member AS (
    SELECT d.classid, d.objid
      FROM pg_depend AS d JOIN extension AS e ON d.refobjid = e.oid
     WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
), function AS (
    SELECT p.* FROM member JOIN pg_proc AS p ON classid = 'pg_proc'::regclass AND objid = p.oid
), relation AS (
    SELECT c.* FROM member JOIN pg_class AS c ON classid = 'pg_class'::regclass AND objid = c.oid
), schema AS (
    SELECT n.* FROM member JOIN pg_namespace AS n ON classid = 'pg_namespace'::regclass AND objid = n.oid
), type AS (
    SELECT t.* FROM member JOIN pg_type AS t ON classid = 'pg_type'::regclass AND objid = t.oid
), attribute AS (
    -- Of tables, views, and composite types.
    SELECT a.*, pg_describe_object('pg_class'::regclass, a.attrelid, 0) AS of
      FROM pg_attribute AS a
     WHERE a.attnum > 0 AND (a.attrelid IN (SELECT oid FROM relation) OR a.attrelid IN (SELECT typrelid FROM type))
), trigger AS (
    SELECT t.*, t.tgrelid::regclass AS of FROM pg_trigger AS t WHERE t.tgrelid IN (SELECT oid FROM relation)
), named_constraint AS (
    SELECT c.*, c.conrelid::regclass AS of FROM pg_constraint AS c WHERE c.conrelid IN (SELECT oid FROM relation)
), index AS (
    SELECT i.* FROM pg_index AS i WHERE i.indrelid IN (SELECT oid FROM relation)
), described AS (
    SELECT 'pg_proc'::regclass AS classid, oid AS objid FROM function
    UNION ALL SELECT 'pg_class'::regclass, oid FROM relation
    UNION ALL SELECT 'pg_namespace'::regclass, oid FROM schema
    UNION ALL SELECT 'pg_type'::regclass, oid FROM type
    UNION ALL SELECT 'pg_trigger'::regclass, oid FROM trigger
    UNION ALL SELECT 'pg_constraint'::regclass, oid FROM named_constraint
    UNION ALL SELECT 'pg_class'::regclass, indexrelid FROM index
), owned AS (
    SELECT 'pg_proc'::regclass AS classid, oid AS objid, 'f'::"char" AS kind, proowner::regrole AS owner, proacl AS acl FROM function
    UNION ALL SELECT 'pg_class'::regclass, oid, 'r', relowner::regrole, relacl FROM relation
    UNION ALL SELECT 'pg_namespace'::regclass, oid, 'n', nspowner::regrole, nspacl FROM schema
    UNION ALL SELECT 'pg_type'::regclass, oid, 'T', typowner::regrole, typacl FROM type
), line AS (
    SELECT format('member %s', pg_describe_object(classid, objid, 0)) AS line FROM member
    UNION ALL
    SELECT format('extension version %s, superuser %s', extversion, extowner::regrole) FROM extension
    UNION ALL
    SELECT format('dumped %s where %L', of::regclass, condition)
      FROM extension CROSS JOIN unnest(extconfig, extcondition) AS dumped (of, condition)
    UNION ALL
    SELECT format('function %s line %s: %s', f.oid::regprocedure, lpad(n::text, 3, '0'), text)
      FROM function AS f
     CROSS JOIN string_to_table(pg_get_functiondef(f.oid), E'\n') WITH ORDINALITY AS definition (text, n)
    UNION ALL
    SELECT format('view %s line %s: %s', r.oid::regclass, lpad(n::text, 3, '0'), text)
      FROM relation AS r
     CROSS JOIN string_to_table(pg_get_viewdef(r.oid), E'\n') WITH ORDINALITY AS definition (text, n)
     WHERE r.relkind = 'v'
    UNION ALL
    SELECT format('relation %s kind %s %s options %s rls %s %s', oid::regclass, relkind, relpersistence, reloptions,
                  relrowsecurity, relforcerowsecurity)
      FROM relation
    UNION ALL
    SELECT format('column %s of %s: %s %s collation %s not null %s default %s storage %s options %s', lpad(a.attnum::text, 3, '0'),
                  a.of, a.attname, format_type(a.atttypid, a.atttypmod), a.attcollation::regcollation, a.attnotnull,
                  (SELECT pg_get_expr(d.adbin, d.adrelid) FROM pg_attrdef AS d WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum),
                  a.attstorage, concat_ws(' ',
                      -- Debian's 15.20 stamps each attribute with a number of its own.
                      (SELECT string_agg(o, ',') FROM unnest(a.attoptions) AS o WHERE o NOT LIKE 'pg_attver=%'),
                      a.attidentity, a.attgenerated, a.attacl::text))
      FROM attribute AS a
    UNION ALL
    SELECT format('constraint %s of %s: %s validated %s', conname, of, pg_get_constraintdef(oid), convalidated)
      FROM named_constraint
    UNION ALL
    SELECT format('index %s valid %s', pg_get_indexdef(indexrelid), indisvalid) FROM index
    UNION ALL
    SELECT format('trigger %s enabled %s', pg_get_triggerdef(oid), tgenabled) FROM trigger
    UNION ALL
    SELECT format('policy %s of %s', polname, polrelid::regclass) FROM pg_policy WHERE polrelid IN (SELECT oid FROM relation)
    UNION ALL
    SELECT format('comment on %s: %s', pg_describe_object(d.classoid, d.objoid, d.objsubid), d.description)
      FROM pg_description AS d JOIN described ON (d.classoid, d.objoid) = (classid, objid)
    UNION ALL
    SELECT format('%s needs %s (%s)', pg_describe_object(d.classid, d.objid, d.objsubid),
                  pg_describe_object(d.refclassid, d.refobjid, d.refobjsubid), d.deptype)
      FROM pg_depend AS d JOIN member AS m ON (d.classid, d.objid) = (m.classid, m.objid)
    UNION ALL
    -- The privileges that there are, and those that pg_dump takes for the install script's: what is
    -- only among the first is dumped as a GRANT.
    SELECT format('%s owner %s: %s, initially %s', pg_describe_object(o.classid, o.objid, 0), o.owner,
                  (SELECT array_agg(a ORDER BY a) FROM unnest(coalesce(o.acl, by_default)::text[]) AS a),
                  (SELECT array_agg(a ORDER BY a) FROM unnest(coalesce(i.initprivs, by_default)::text[]) AS a))
      FROM owned AS o CROSS JOIN LATERAL acldefault(o.kind, o.owner) AS by_default
      LEFT JOIN pg_init_privs AS i ON (i.classoid, i.objoid, i.objsubid) = (o.classid, o.objid, 0)
)
SELECT regexp_replace(line, '\s+', ' ', 'g') AS line FROM line ORDER BY line COLLATE "C"
