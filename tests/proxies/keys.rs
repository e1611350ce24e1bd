//! Whose key passes.

use crate::front::{ELSEWHERE, Front, HOME};
use crate::proxies::{Variant::AsDeployed, each};
use apikey_tests::{one, wrong_secret};

#[test]
fn who_passes_and_who_does_not() {
    each(|kind| {
        let front = Front::start(kind, AsDeployed);
        let Front { key, other, .. } = &front;
        for path in ["/", "/a/b?c=d&scope=none", "/events/", "/events/7?x=%2F"] {
            let pass = front.ask(HOME, path, key, &[]);
            pass.assert_identity(key);
            assert_eq!(pass.asked()["path"], path);
            assert_eq!(pass.reached("x-forwarded-for"), [HOME]);
            assert_eq!(pass.reached("authorization"), [""; 0], "the key ends at the proxy");
        }
        let pass = front.curl(HOME, "/", &["-H", &format!("X-Api-Key: {key}")]);
        pass.assert_identity(key);
        assert_eq!(pass.reached("x-api-key"), [""; 0]);

        let post = ["-H", &format!("Authorization: Bearer {key}"), "-d", "a body"];
        let posted = front.curl(HOME, "/events/", &post).asked();
        assert_eq!(
            (posted["method"].as_str(), posted["body"].as_str()),
            (Some("POST"), Some("a body"))
        );

        front.assert_refused(401, || front.curl(HOME, "/", &[]));
        front.assert_refused(401, || front.curl(HOME, "/", &["-d", "a body"]));
        front.assert_refused(401, || front.curl(HOME, "/", &["-X", "OPTIONS"]));
        front.assert_refused(401, || front.ask(HOME, "/events/", &wrong_secret(key), &[]));
        front.assert_refused(401, || front.curl(HOME, &format!("/?api_key={key}"), &[]));
        front.assert_refused(403, || front.ask(ELSEWHERE, "/", key, &[]));
        front.assert_refused(403, || front.ask(ELSEWHERE, "/events/", key, &[]));
        assert_eq!(front.ask(ELSEWHERE, "/", other, &[]).reached("x-apikey-prefix"), [&other[..8]]);
        front.assert_refused(403, || front.ask(ELSEWHERE, "/events/", other, &[]));
        front.assert_refused(403, || front.ask(HOME, "/events/7", other, &["Content-Type: x"]));

        one(&mut front.database.superuser(), &format!("SELECT apikey_revoke('{key}')"));
        front.assert_refused(401, || front.ask(HOME, "/", key, &[]));
        let log = front.proxy.log();
        assert!(!log.contains(&key[9..]), "the key is in the proxy's log: {log}");
    });
}

#[test]
fn two_keys_are_none() {
    each(|kind| {
        let front = Front::start(kind, AsDeployed);
        let Front { key, other, .. } = &front;
        for (name, scheme) in [("X-Api-Key", ""), ("Authorization", "Api-Key ")] {
            let line = |key: &str| format!("{name}: {scheme}{key}");
            let (one, another) = (line(key), line(other));
            for lines in
                [[&one, &one], [&one, &another], [&another, &one], [&one, &one.to_lowercase()]]
            {
                let seen = front.service.seen();
                let response = front.curl(HOME, "/", &["-H", lines[0], "-H", lines[1]]);
                assert!([400, 401].contains(&response.status()), "{lines:?}: {}", response.0);
                assert_eq!(front.service.seen(), seen, "{lines:?}");
            }
        }
    });
}
