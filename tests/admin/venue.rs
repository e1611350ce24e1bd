//! A venue: its database with the roles of `deploy/roles.sql`, its people, and the shim with the admin page.

use crate::browser::Browser;
use apikey_tests::{Cluster, Database, Output, Shim, one, program, run};

const ROLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/roles.sql");
const PASSWORD: &str = "correct horse";

/// Ada and Bob manage keys, and Ada may check them, too; Olga audits them, Carl checks them, and Eve may log in to Postgres
/// and nothing else.
const PEOPLE: &[(&str, &str)] = &[
    ("ada", "IN ROLE apikey_manager, apikey_checker"),
    ("bob", "IN ROLE apikey_manager"),
    ("olga", "IN ROLE apikey_auditor"),
    ("carl", "IN ROLE apikey_checker"),
    ("eve", ""),
];

pub struct Venue {
    pub shim: Shim,
    pub database: Database,
}

impl Venue {
    /// In a cluster of its own, since roles are the cluster's.
    pub fn new(flags: &[&str]) -> Self {
        let preloaded = ["shared_preload_libraries = 'apikey'", "apikey.usage_flush_interval = 1s"];
        let mut database = Database::in_cluster(Cluster::private(&preloaded));
        database.client_program("psql", &["-Xq", "-f", ROLES]).success();
        for (name, rights) in PEOPLE {
            let role = format!("CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}' {rights}");
            database.superuser().batch_execute(&role).unwrap();
        }
        let shim =
            Shim::start(&mut database, &[&["--admin-listen", "127.0.0.1:0"], flags].concat());
        Self { shim, database }
    }

    /// A browser in which somebody has signed in.
    pub fn browser_of(&self, role: &str, language: &str) -> Browser {
        let browser = Browser::new(language);
        self.sign_in(&browser, role);
        browser
    }

    pub fn sign_in(&self, browser: &Browser, role: &str) {
        self.try_to_sign_in(browser, role);
        browser.assert_path("/keys");
    }

    pub fn try_to_sign_in(&self, browser: &Browser, role: &str) {
        browser.go(&self.url("/sign-in"));
        browser.write("role", role);
        browser.write("password", PASSWORD);
        browser.enter();
    }

    pub fn url(&self, path: &str) -> String {
        self.shim.admin_url(path)
    }

    /// The pages to look at, with those of this key.
    pub fn pages(&self, prefix: &str) -> Vec<String> {
        let key = format!("/keys/{prefix}");
        let trail = format!("{key}/events");
        let paths = ["/keys", "/keys/new", &key, &trail, "/events", "/test", "/keys?q=nothing"];
        paths.map(|path| self.url(path)).to_vec()
    }

    /// Some keys of every status, known scopes and a trail; gives the prefix of one that is used a good deal.
    pub fn furnish(&self) -> String {
        let keys = "
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
        self.database.superuser().batch_execute(keys).unwrap();
        let till = self
            .sql("SELECT apikey_create('Till', 'cashless', ips => '{127.0.0.1}', owner => 'ada')");
        for _ in 0..20 {
            self.keytest(&till).success();
        }
        till[..8].to_owned()
    }

    pub fn sql(&self, statement: &str) -> String {
        one(&mut self.database.superuser(), statement).unwrap_or_default()
    }

    pub fn number_of_keys(&self) -> String {
        self.sql("SELECT count(*) FROM apikey.key")
    }

    /// What curl gets from the admin page, head and all.
    pub fn curl(&self, path: &str, arguments: &[&str]) -> String {
        let mut curl = program("curl", &["-sS", "--include"]);
        run(curl.args(arguments).arg(self.url(path))).success()
    }

    /// The keytest as the platform publishes it.
    pub fn keytest(&self, key: &str) -> Output {
        let header = format!("Authorization: Api-Key {key}");
        let url = self.shim.keytest();
        run(&mut program("curl", &["-sS", "--request", "GET", "--url", &url, "--header", &header]))
    }

    /// That the secret of a key is in no log.
    pub fn assert_not_logged(&self, key: &str) {
        for log in [self.shim.log(), self.database.cluster.log()] {
            assert!(!log.contains(&key[9..]), "{log}");
        }
    }
}
