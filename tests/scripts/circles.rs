//! The part of `make lint` that finds circles of imports, in a small crate of its own.

use crate::ROOT;
use apikey_tests::{Output, program, run};
use std::fs;

/// What it says of a crate with these files.
fn judge(files: &[(&str, &str)]) -> Output {
    let directory = tempfile::tempdir().unwrap();
    let manifest = "[package]\nname = \"house\"\nversion = \"0.1.0\"\nedition = \"2024\"\n";
    for (name, text) in [("Cargo.toml", manifest)].iter().chain(files) {
        let file = directory.path().join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
    run(program(&format!("{ROOT}/scripts/circles.py"), &[]).arg(directory.path()))
}

#[test]
fn a_circle_is_shown_as_a_chain_of_files() {
    let output = judge(&[
        ("src/lib.rs", "mod a;\nmod b;\nmod c;\n"),
        ("src/a.rs", "use crate::b::{self as other, c::*};\n\nfn f() {\n    other::g();\n}\n"),
        ("src/b/mod.rs", "pub mod c;\n\npub use crate::c::g;\n"),
        ("src/b/c.rs", "pub struct S;\n"),
        ("src/c.rs", "pub fn g(_: super::a::T) {}\n"),
    ]);
    assert_eq!(output.code, Some(1), "{}", output.stderr);
    let chain = "house:\n  src/a.rs:4 -> src/c.rs (g)\n  src/c.rs:1 -> src/a.rs (T)\n";
    assert_eq!(output.stdout, chain);
}

#[test]
fn functions_of_the_parent_close_a_circle_and_its_types_do_not() {
    let parent = "pub struct Shared;\n\npub fn help() {\n    child::work();\n}\n\npub mod child;\n";
    let family = |child: &str| {
        judge(&[
            ("src/lib.rs", "mod parent;\n"),
            ("src/parent.rs", parent),
            ("src/parent/child.rs", child),
        ])
    };
    let types = family("use super::Shared;\n\npub fn work() -> Shared {\n    Shared\n}\n");
    assert_eq!((types.code, types.stdout.as_str()), (Some(0), ""), "{}", types.stderr);
    let functions = family("pub fn work() {\n    super::help()\n}\n");
    assert!(functions.stdout.contains("src/parent/child.rs:2 -> src/parent.rs (help)"));
    assert_eq!(functions.code, Some(1), "{}", functions.stderr);
}

#[test]
fn words_in_tests_comments_and_strings_are_no_imports() {
    let a = r##"
use crate::b::B;

// use crate::b::B;
const TEXT: &str = r#"" use crate::b::B;"#;
const QUOTE: char = '"';

mod inner {
    pub fn f<'a>(a: &'a super::A) -> impl Iterator<Item = u8> + use<'a> { a.0.iter().copied() }
}

pub struct A(pub Vec<u8>);
"##;
    let b = r#"
/* use crate::a::A; */
pub const B: &str = "crate::a::A";

#[cfg(test)]
use crate::a::A;

#[cfg(test)]
mod tests {
    use crate::a::A;
}
"#;
    let output =
        judge(&[("src/lib.rs", "mod a;\npub(crate) mod b;\n"), ("src/a.rs", a), ("src/b.rs", b)]);
    assert_eq!((output.code, output.stdout.as_str()), (Some(0), ""), "{}", output.stderr);
}
