//! The same over HTTP/2.

use crate::front::{Front, HOME};
use crate::proxies::{Variant::Http2, each_with_http2};

#[test]
fn it_is_the_same_over_http2() {
    each_with_http2(|kind| {
        let front = Front::start(kind, Http2);
        let Front { key, other, .. } = &front;
        let ask = |path: &str, key: &str, lines: &[&str]| {
            let key = format!("X-Api-Key: {key}");
            front.curl(HOME, path, &[&["--http2-prior-knowledge", "-H", &key], lines].concat())
        };
        let pass = ask("/Events/7?x=%2F", key, &[]);
        pass.assert_identity(key);
        assert_eq!(pass.asked()["path"], "/Events/7?x=%2F");
        front.assert_refused(403, || ask("/Events/7?x=%2F", other, &[]));
        front.assert_refused(401, || ask("/", key, &["-H", &format!("X-Api-Key: {other}")]));
        for path in ["/events%2flist", "//events/list", "/x/../events/list", "/events;/list"] {
            front.assert_refused(400, || ask(path, other, &[]));
        }
    });
}
