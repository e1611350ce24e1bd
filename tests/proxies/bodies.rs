//! Bodies, which pass the proxy without the shim seeing them.

use crate::front::{Front, HOME};
use crate::proxies::{Variant::LargeBodies, each};

#[test]
fn large_bodies_pass() {
    each(|kind| {
        let front = Front::start(kind, LargeBodies);
        let body = "large ".repeat(1_500_000 / 6);
        let file = front.service.files.path().join("body");
        std::fs::write(&file, &body).unwrap();
        let data = format!("@{}", file.display());
        let key = format!("X-Api-Key: {}", front.key);
        for lines in [
            &["Expect:"][..],
            &["Expect: 100-continue"],
            &["Expect:", "Transfer-Encoding: chunked"],
            &["Expect: 100-continue", "Transfer-Encoding: chunked"],
        ] {
            let post = |line: &str| {
                let lines = [&[line], lines].concat();
                let arguments: Vec<_> = lines.iter().flat_map(|line| ["-H", line]).collect();
                front.curl(HOME, "/events/", &[&["--data-binary", &data], &arguments[..]].concat())
            };
            let asked = post(&key).asked();
            assert_eq!(asked["method"], "POST");
            assert!(asked["body"] == *body, "{lines:?}: another body");
            front.assert_refused(401, || post("X-No: key"));
        }
    });
}
