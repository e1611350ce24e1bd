//! `make install`.

use crate::ROOT;
use apikey_tests::{program, run};

#[test]
fn its_last_words_say_what_is_left_to_do() {
    let output = run(&mut program(&format!("{ROOT}/scripts/install"), &[]));
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    let (_, last) = output.stderr.split_once("Done.").unwrap();
    for (line, step) in last.lines().skip(1).zip([
        "shared_preload_libraries = 'apikey'",
        "CREATE EXTENSION apikey SCHEMA keys;",
        "/deploy/roles.sql",
    ]) {
        assert!(line.contains(step), "{step}: {last}");
    }
    assert_eq!(last.lines().count(), 4, "{last}");
}
