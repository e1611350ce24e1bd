//! A page of another origin, which a browser asks for before it lets it ask.

use crate::front::{ELSEWHERE, Front, HOME};
use crate::proxies::{Variant::AsDeployed, each};

/// A page of this origin may ask, as each configuration says.
const PAGE: &str = "https://shop.example";

#[test]
fn a_browser_may_ask_and_nothing_passes_by_that() {
    each(|kind| {
        let front = Front::start(kind, AsDeployed);
        let Front { key, .. } = &front;
        let origin = |origin: &str| format!("Origin: {origin}");
        let key_line = format!("X-Api-Key: {key}");
        let preflight = |path: &str, from: &str, lines: &[&str]| {
            let from = origin(from);
            let own = [&*from, "Access-Control-Request-Method: POST"];
            let lines = [&own, lines].concat();
            let arguments: Vec<_> = lines.iter().flat_map(|line| ["-H", line]).collect();
            front.curl(ELSEWHERE, path, &[&["-X", "OPTIONS"], &arguments[..]].concat())
        };
        let headers = "Access-Control-Request-Headers: authorization, content-type";
        for path in ["/", "/events/7?x=y"] {
            let allowed = preflight(path, PAGE, &[headers]);
            assert!([200, 204].contains(&allowed.status()), "{}", allowed.0);
            assert_eq!(allowed.all("access-control-allow-origin"), [PAGE], "{}", allowed.0);
            assert_eq!(allowed.all("access-control-allow-credentials"), [""; 0]);
            let allows = |name: &str, wanted: &[&str]| {
                let values = allowed.all(name).join(",");
                let values: Vec<_> = values.split(',').map(str::trim).collect();
                assert!(wanted.iter().all(|one| values.contains(one)), "{}", allowed.0);
            };
            allows(
                "access-control-allow-methods",
                &["get", "head", "post", "put", "patch", "delete"],
            );
            allows(
                "access-control-allow-headers",
                &["authorization", "x-api-key", "content-type", "x-request-id"],
            );
        }
        for stranger in
            ["https://shop.example.evil", "https://shopXexample", "null", "http://shop.example"]
        {
            let answer = preflight("/", stranger, &[headers]);
            assert_eq!(answer.all("access-control-allow-origin"), [""; 0], "{}", answer.0);
        }
        for lines in [
            &["X-HTTP-Method-Override: GET", "X-HTTP-Method: GET", "X-Method-Override: GET"][..],
            &["Content-Length: 0"],
            &[&key_line],
            &["Access-Control-Request-Method: GET"],
        ] {
            preflight("/events/list", PAGE, lines);
        }
        preflight("/events%2flist", PAGE, &[]);
        assert_eq!(front.service.seen(), 0, "a browser's question reached the service");

        // What is no such question needs a key.
        let page = origin(PAGE);
        let method = "Access-Control-Request-Method: GET";
        for (verb, lines) in [
            ("OPTIONS", &[&*page][..]),
            ("OPTIONS", &["X-Access-Control-Request-Method: GET"]),
            ("OPTIONS", &[&page, "Access_Control_Request_Method: GET"]),
            ("GET", &[&page, method]),
            ("POST", &[&page, method]),
            ("POST", &[&page, method, "X-HTTP-Method-Override: OPTIONS"]),
        ] {
            let arguments: Vec<_> = lines.iter().flat_map(|line| ["-H", line]).collect();
            let ask = || front.curl(HOME, "/", &[&["-X", verb], &arguments[..]].concat());
            front.assert_refused(401, ask);
        }
        let asked = front.curl(HOME, "/", &["-X", "OPTIONS", "-H", &page, "-H", &key_line]);
        assert_eq!(asked.asked()["method"], "OPTIONS");

        // The page reads what it gets, a refusal, too; another's page does not. What the service
        // says of it does not count.
        let read = |line: &str, from: &str| {
            let answer = front.curl(HOME, "/", &["-H", line, "-H", &origin(from)]);
            assert_eq!(answer.all("access-control-allow-credentials"), [""; 0], "{}", answer.0);
            assert!(
                answer.all("vary").iter().any(|value| value.contains("origin")),
                "{}",
                answer.0
            );
            (answer.status(), answer.all("access-control-allow-origin"))
        };
        assert_eq!(read(&key_line, PAGE), (200, vec![PAGE.to_owned()]));
        assert_eq!(read("X-No: key", PAGE), (401, vec![PAGE.to_owned()]));
        assert_eq!(read(&key_line, "https://evil.example"), (200, vec![]));
        assert_eq!(read("X-No: key", "https://evil.example"), (401, vec![]));
    });
}
