//! As many requests as there can be, by wrk.

use apikey_tests::{program, run};
use std::fs;

pub const CONNECTIONS: usize = 16;

/// What wrk got.
pub struct Requests {
    pub answered: u64,
    pub per_second: f64,
}

/// Sends the keys in turn for so many seconds. `all_refused` says what the answers have to be.
pub fn wrk(url: &str, keys: &[String], seconds: u32, all_refused: bool) -> Requests {
    let files = tempfile::tempdir().unwrap();
    let [script, list] = ["keys.lua", "keys"].map(|name| files.path().join(name));
    fs::write(&script, include_str!("wrk.lua")).unwrap();
    fs::write(&list, keys.join("\n") + "\n").unwrap();
    let output =
        run(program("wrk", &["--threads", "2", "--connections", &CONNECTIONS.to_string()])
            .args(["--duration", &format!("{seconds}s"), "--script"])
            .arg(script)
            .args([url, "--"])
            .arg(list));
    let output = output.success();
    let measured = output.split_once("measured: ").unwrap_or_else(|| panic!("{output}")).1;
    let numbers: Vec<u64> = measured.split_whitespace().map(|n| n.parse().unwrap()).collect();
    let [answered, microseconds, refused, broken] = numbers.try_into().unwrap();
    assert_eq!((refused, broken), (if all_refused { answered } else { 0 }, 0), "{output}");
    Requests { answered, per_second: answered as f64 * 1e6 / microseconds as f64 }
}
