//! The hand-written declarations in `sql/` are those that pgrx would make for the Rust functions.
//!
//! pgrx leaves what it knows of each function in a section of the library. The statements that it
//! would write from that are run in a schema beside the installed ones, and the two catalogs are
//! compared.

use apikey_tests::{Database, from_test_script, one};
use object::{Object, ObjectSection};
use pgrx_sql_entity_graph::section::{decode_entities, is_schema_section_name};
use pgrx_sql_entity_graph::{ControlFile, PgrxSql, SqlGraphEntity};
use std::path::PathBuf;

/// Functions in C whose declaration has no counterpart that is the same in all that Rust decides.
/// Not their names: one function of the library may have several in SQL.
const DIFFERENCES: &str = "
    WITH c_function AS (
        SELECT pronamespace = 'declared'::regnamespace AS declared,
               format('%s(%s; %s) returns %s%s%s%s %s%s', prosrc, proargnames, proargtypes::oid[]::regtype[],
                      CASE WHEN proretset THEN 'setof ' END, prorettype::regtype,
                      CASE WHEN proisstrict THEN ' strict' END,
                      CASE WHEN prosecdef THEN ' definer' END, provolatile, proparallel) AS signature
          FROM pg_proc JOIN pg_language AS l ON l.oid = prolang
         WHERE l.lanname = 'c' AND probin = '$libdir/apikey'
    )
    SELECT count(*) || ' functions; ' || coalesce(string_agg(signature, '; ' ORDER BY signature)
               FILTER (WHERE signature NOT IN (SELECT signature FROM c_function AS other
                                                WHERE other.declared <> c_function.declared)), 'no difference')
      FROM c_function";

/// What pgrx would write into an install script.
fn declared_by_pgrx() -> String {
    let library = std::fs::read(from_test_script("APIKEY_EXTENSION_LIB")).unwrap();
    let library = object::File::parse(&*library).unwrap();
    let section = library
        .sections()
        .find(|section| section.name().is_ok_and(is_schema_section_name))
        .expect("the library has pgrx's section");
    let control = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../sql/apikey.control"));
    let root = SqlGraphEntity::from(ControlFile::try_from(control).unwrap());
    let entities = decode_entities(section.data().unwrap()).unwrap();
    PgrxSql::build(std::iter::once(root).chain(entities), "apikey".to_owned(), false)
        .unwrap()
        .to_sql()
        .unwrap()
        .replace("MODULE_PATHNAME", "$libdir/apikey")
}

#[test]
fn sql_and_rust_agree() {
    let database = Database::new();
    let mut client = database.superuser();
    client
        .batch_execute(&format!(
            "CREATE SCHEMA declared; SET search_path = declared, public; {}; RESET search_path",
            declared_by_pgrx()
        ))
        .unwrap();
    assert_eq!(one(&mut client, DIFFERENCES).as_deref(), Some("38 functions; no difference"));
    // The comparison would notice.
    client.batch_execute("ALTER FUNCTION apikey.make_verifier(text) CALLED ON NULL INPUT").unwrap();
    let difference = one(&mut client, DIFFERENCES).unwrap();
    assert!(
        difference.contains("make_verifier_wrapper(") && !difference.contains("check_wrapper("),
        "{difference}"
    );
}
