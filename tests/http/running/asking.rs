//! Clients that ask on and on, in a process of their own, with the requests library.

use apikey_tests::program;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

pub struct Asking {
    child: Child,
    /// Its end is the end of the asking.
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Asking {
    pub fn start(url: &str, key: &str, clients: u32) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/http/running/ask_on.py");
        let mut child = program("python3", &[script, url, key, &clients.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = child.stdin.take();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut String::new()).unwrap();
        Self { child, stdin, stdout }
    }

    /// Asserts that every request since the start got a 200, and says how many there were.
    #[track_caller]
    pub fn assert_nothing_was_lost(mut self) -> u64 {
        self.stdin = None;
        let mut report = String::new();
        self.stdout.read_to_string(&mut report).unwrap();
        assert!(self.child.wait().unwrap().success(), "{report}");
        println!("{report}"); // how long it took, for who looks at it
        let report: Value = serde_json::from_str(&report).unwrap();
        let outcomes = report["outcomes"].as_object().unwrap();
        assert_eq!(outcomes.keys().collect::<Vec<_>>(), ["200"], "{report}");
        outcomes["200"].as_u64().unwrap()
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.stdin = None;
        let _ = self.child.wait();
    }
}
