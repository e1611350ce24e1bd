//! The database or the shim is away.

use crate::front::{Front, HOME};
use crate::proxies::{Variant::AsDeployed, each};

#[test]
fn nothing_passes_while_keys_cannot_be_checked() {
    each(|kind| {
        let mut front = Front::start(kind, AsDeployed);
        let (key, other) = (front.key.clone(), front.other.clone());
        front.ask(HOME, "/", &key, &[]).assert_identity(&key);
        // The database refuses the shim.
        let hide = "ALTER FUNCTION apikey.authorize_key RENAME TO hidden;
            ALTER FUNCTION apikey.authorize_key_at_once RENAME TO hidden_at_once;
            ALTER FUNCTION apikey_authorize RENAME TO hidden_public";
        front.database.superuser().batch_execute(hide).unwrap();
        front.assert_refused(503, || front.ask(HOME, "/", &key, &[]));
        front.assert_refused(503, || front.ask(HOME, "/events/", &other, &["Content-Type: x"]));
        let restore = "ALTER FUNCTION apikey.hidden RENAME TO authorize_key;
            ALTER FUNCTION apikey.hidden_at_once RENAME TO authorize_key_at_once;
            ALTER FUNCTION hidden_public RENAME TO apikey_authorize";
        front.database.superuser().batch_execute(restore).unwrap();
        front.ask(HOME, "/", &key, &[]).assert_identity(&key);
        // The shim is gone.
        front.shim.signal("TERM");
        front.shim.wait();
        for body in [&[][..], &["-d", "a body"]] {
            let seen = front.service.seen();
            let line = format!("X-Api-Key: {key}");
            let response = front.curl(HOME, "/", &[&["-H", &line], body].concat());
            // Some proxies have a status of their own for this.
            assert!([500, 502, 503].contains(&response.status()), "{}", response.0);
            assert_eq!(front.service.seen(), seen);
        }
    });
}
