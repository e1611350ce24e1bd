//! The pages, and how one comes to them.

use crate::browser::Browser;
use apikey_tests::{Login, Office};

impl Browser {
    /// One in which somebody has signed in.
    pub fn of(office: &Office, login: &Login, language: &str) -> Self {
        let browser = Self::new(language);
        browser.sign_in(office, login);
        browser
    }

    pub fn sign_in(&self, office: &Office, login: &Login) {
        self.try_to_sign_in(office, login);
        self.assert_path("/keys");
    }

    pub fn try_to_sign_in(&self, office: &Office, login: &Login) {
        self.go(&office.shim.admin_url("/sign-in"));
        self.write("role", &login.role);
        self.write("password", &login.password);
        self.enter();
    }
}

/// The pages to look at, with those of this key.
pub fn pages(office: &Office, prefix: &str) -> Vec<String> {
    let key = format!("/keys/{prefix}");
    let trail = format!("{key}/events");
    let paths = ["/keys", "/keys/new", &key, &trail, "/events", "/test", "/keys?q=nothing"];
    paths.map(|path| office.shim.admin_url(path)).to_vec()
}

/// Some keys of every status, which Ada may check, too; known scopes and a trail; gives the prefix
/// of one that is used a good deal.
pub fn furnish(office: &Office) -> String {
    let keys = "
        GRANT apikey_checker TO ada;
        INSERT INTO apikey.scope VALUES ('event', 'See events'), ('ticket', 'Sell tickets'), ('cashless', 'Top up cards');
        SELECT apikey_create('Ticket office', '[\"event\",\"ticket\"]'::jsonb, ips => '{10.0.0.0/8,2001:db8::/32}', owner => 'ada');
        SELECT apikey_create('Website', '{\"event\":true,\"ticket\":false}'::jsonb, owner => 'ada', expires_at => now() + interval '1 year');
        SELECT apikey_create('Bar terminal', 'cashless', '192.0.2.17', owner => 'bob', expires_at => now() + interval '4 days');
        SELECT apikey_create('Old laptop', 'event', owner => 'bob');
        SELECT apikey_create('Festival app', 'event', owner => 'carol', tenant => 'festival');
        SELECT apikey_create('Cloakroom', 'ticket', owner => 'carol');
        SELECT apikey_revoke(prefix, 'laptop stolen') FROM apikeys WHERE name = 'Old laptop';
        SELECT apikey_disable(prefix) FROM apikeys WHERE name = 'Cloakroom';
        SELECT apikey_rotate(prefix, '1 day') FROM apikeys WHERE name = 'Ticket office'";
    office.database.superuser().batch_execute(keys).unwrap();
    let till = office
        .sql("SELECT apikey_create('Till', 'cashless', ips => '{127.0.0.1}', owner => 'ada')");
    for _ in 0..20 {
        office.keytest(&till).success();
    }
    till[..8].to_owned()
}
