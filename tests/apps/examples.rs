//! The examples for applications in other languages, run as they say.

use apikey_tests::{ExampleShop, Output, program};

/// What each of them does with a good key, with one that lacks the scope, and with none.
fn check(shop: &ExampleShop, run: impl Fn(&str) -> Output) {
    shop.log_statements();
    assert_eq!(run(&shop.ada).success(), "ada: bread");
    assert_eq!(run(&shop.ada).success(), "ada: bread, bread");
    let no_key = format!("{}{}", &shop.ada[..9], &shop.bob[9..]);
    for (key, reason) in [(&shop.bob, "missing_scope"), (&no_key, "invalid_key")] {
        let output = run(key);
        assert_eq!((output.stdout.as_str(), output.code), ("", Some(1)), "{}", output.stderr);
        assert!(output.stderr.contains(&format!("refused: {reason}")), "{}", output.stderr);
        assert!(!output.stderr.contains(&key[9..]), "{}", output.stderr);
    }
    shop.assert_no_key_logged();
}

#[test]
fn python() {
    let shop = ExampleShop::new();
    check(&shop, |key| shop.run_as_it_says("examples/python.py", key));
}

#[test]
fn node() {
    let shop = ExampleShop::new();
    check(&shop, |key| shop.run_as_it_says("examples/node/example.js", key));
}

/// What cargo made of it for this test: `cargo run` would look whether all is up to date, and build
/// anew what another choice of packages needs otherwise.
#[test]
fn rust() {
    let shop = ExampleShop::new();
    let tests = std::env::current_exe().unwrap();
    let example = tests.parent().unwrap().with_file_name("examples").join("rust");
    assert!(example.is_file(), "{} is missing: run cargo test without --test", example.display());
    check(&shop, |key| shop.run(program(example.to_str().unwrap(), &[]), key));
}
