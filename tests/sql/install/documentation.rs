//! Each object of the extension says what it is.

use apikey_tests::{Database, one};

#[test]
fn every_object_has_a_comment() {
    let database = Database::new();
    let silent = one(
        &mut database.superuser(),
        "WITH member AS (
             SELECT d.classid, d.objid
               FROM pg_depend AS d JOIN pg_extension AS e ON d.refobjid = e.oid AND e.extname = 'apikey'
              WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
         ), part AS (
             SELECT classid, objid, 0 AS sub FROM member
             UNION ALL
             SELECT classid, objid, attnum FROM member JOIN pg_attribute ON attrelid = objid
              WHERE classid = 'pg_class'::regclass AND attnum > 0 AND NOT attisdropped
             UNION ALL
             SELECT 'pg_constraint'::regclass, c.oid, 0 FROM member JOIN pg_constraint AS c ON conrelid = objid
              WHERE contype <> 'n'
             UNION ALL
             SELECT 'pg_trigger'::regclass, t.oid, 0 FROM member JOIN pg_trigger AS t ON tgrelid = objid
              WHERE NOT tgisinternal
             UNION ALL
             SELECT 'pg_class'::regclass, indexrelid, 0 FROM member JOIN pg_index ON indrelid = objid
              WHERE NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
         )
         SELECT count(*) || ' parts, silent: ' || coalesce(string_agg(pg_describe_object(part.classid, part.objid, part.sub), '; ')
                    FILTER (WHERE description IS NULL), 'none')
           FROM part LEFT JOIN pg_description AS said
             ON said.classoid = part.classid AND said.objoid = part.objid AND said.objsubid = part.sub
          WHERE part.classid NOT IN ('pg_type'::regclass, 'pg_rewrite'::regclass)",
    )
    .unwrap();
    let (count, silent) = silent.split_once(" parts, silent: ").unwrap();
    assert_eq!(silent, "none");
    assert!(count.parse::<u32>().unwrap() > 40, "only {count} parts were found");
}
