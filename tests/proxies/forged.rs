//! What a client says of itself in words that only the proxy may say.

use crate::front::{ELSEWHERE, Front, HOME};
use crate::proxies::{Variant::AsDeployed, each};

#[test]
fn what_a_client_forges_does_not_get_through() {
    each(|kind| {
        let front = Front::start(kind, AsDeployed);
        let Front { key, other, .. } = &front;
        let forged = [
            "X-Apikey-Prefix: Mallory1",
            "x-apikey-name: mallory",
            "X-APIKEY-OWNER: mallory",
            "X-Apikey-Owner: mallory again",
            "X-Apikey-Auth: \"admin\"",
            "X-Apikey-Tenant: mallory",
            "X_Apikey_Prefix: Mallory1",
            "X-Apikey_Owner: mallory",
            "x_apikey-auth: mallory",
        ];
        let pass = front.ask(HOME, "/events/", key, &forged);
        pass.assert_identity(key);
        assert!(!pass.0.to_lowercase().contains("mallory"), "{}", pass.0);

        // Headers of the connection go no further (RFC 9110, 7.6.1), but the proxy's own are not
        // the client's to name.
        let dropped =
            "Connection: close, X-Apikey-Owner, X-Apikey-Prefix, X-Apikey-Scope, X-Forwarded-For";
        for (key, may_pass) in [(key, true), (other, false)] {
            let seen = front.service.seen();
            let answer = front.ask(HOME, "/events/", key, &[dropped]);
            if may_pass && answer.status() == 200 {
                answer.assert_identity(key);
            } else {
                // A client whose address got lost passes no rule; Envoy takes such a request for an
                // attack.
                assert!([400, 403].contains(&answer.status()), "{}", answer.0);
                assert_eq!(front.service.seen(), seen);
            }
        }

        let addresses = [
            "X-Forwarded-For: 127.0.0.2",
            "X-Forwarded-For: 127.0.0.2, 127.0.0.1",
            "Forwarded: for=127.0.0.2",
            "X-Real-IP: 127.0.0.2",
            "X_Forwarded_For: 127.0.0.2",
            "True-Client-IP: 127.0.0.2",
            "X-Envoy-External-Address: 127.0.0.2",
        ];
        for line in addresses {
            front.assert_refused(403, || front.ask(ELSEWHERE, "/", key, &[line]));
        }
        front.assert_refused(403, || front.ask(ELSEWHERE, "/", key, &addresses));
        let told = front.ask(ELSEWHERE, "/", other, &addresses).reached("x-forwarded-for");
        assert_eq!(
            told.last().and_then(|line| line.split(", ").last()),
            Some(ELSEWHERE),
            "{told:?}"
        );

        for (path, lines) in [
            ("/events/?scope=ticket", &[][..]),
            ("/events/", &["X-Apikey-Scope: ticket"]),
            ("/events/", &["X-Apikey-Scope:"]),
            ("/events/", &["X-Apikey-Scope;", "X-Original-URL: /", "X-Rewrite-URL: /"]),
            ("/events/", &["X-Forwarded-Uri: /", "X-Forwarded-Method: GET", "X-Original-URI: /"]),
            ("/./events/", &[]),
            ("/x/../events/", &[]),
            ("//events/", &[]),
            ("/%65vents/", &[]),
        ] {
            let seen = front.service.seen();
            let response = front.ask(HOME, path, other, lines);
            assert!((400..500).contains(&response.status()), "{path} {lines:?}: {}", response.0);
            assert_eq!(front.service.seen(), seen, "{path} {lines:?}");
        }
        // Nobody asks the shim, or the place that asks it, directly.
        for path in ["/_apikey", "/auth"] {
            let seen = front.service.seen();
            let status = front.curl(HOME, path, &[]).status();
            assert!([401, 404].contains(&status), "{path}: {status}");
            assert_eq!(front.service.seen(), seen, "{path}");
        }
    });
}
