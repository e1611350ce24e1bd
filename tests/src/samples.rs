//! A scrape of `/metrics`, read by Prometheus's own parser for Python, which refuses what is not in
//! its format.

use crate::Shim;
use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};

const PARSER: &str = "
import sys
from prometheus_client.parser import text_string_to_metric_families
for family in text_string_to_metric_families(sys.stdin.read()):
    for sample in family.samples:
        labels = ','.join(f'{key}={value}' for key, value in sorted(sample.labels.items()))
        print(f'{sample.name}{{{labels}}}', sample.value, sep='\\t')
";

/// Values by `name{key=value,…}`, the keys in order.
pub struct Samples(pub BTreeMap<String, f64>);

impl Samples {
    /// What the shim says now.
    pub fn of(shim: &Shim) -> Self {
        let answer = shim.ask_for_metrics("GET", "/metrics");
        assert_eq!(answer.status(), 200, "{}", answer.head);
        Self::parse(&answer.body)
    }

    pub fn parse(text: &str) -> Self {
        let mut parser = Command::new("/usr/bin/python3")
            .args(["-c", PARSER])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        parser.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let output = parser.wait_with_output().unwrap();
        assert!(output.status.success(), "it cannot be parsed: {text}");
        let samples = String::from_utf8(output.stdout).unwrap();
        let samples = samples.lines().map(|line| line.split_once('\t').unwrap());
        Self(samples.map(|(name, value)| (name.to_owned(), value.parse().unwrap())).collect())
    }

    #[track_caller]
    pub fn value(&self, name: &str) -> f64 {
        *self.0.get(name).unwrap_or_else(|| panic!("{name} is not in {:#?}", self.0))
    }
}
