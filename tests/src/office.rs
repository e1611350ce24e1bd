//! People with the roles of `deploy/roles.sql`, keys, and the shim with the admin page.

use crate::visitor::Visitor;
use crate::{Cluster, Database, Login, Output, Shim, one, program, run};
use std::path::Path;

const ROLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/roles.sql");

pub struct Office {
    pub shim: Shim,
    pub database: Database,
    /// Ada and Bob manage keys, Audrey audits them, and Chester checks them.
    pub ada: Login,
    pub bob: Login,
    pub audrey: Login,
    pub chester: Login,
    /// May log in to Postgres, and nothing else.
    pub stranger: Login,
}

impl Office {
    /// In a cluster of its own, since roles are the cluster's.
    pub fn open(flags: &[&str]) -> Self {
        Self::open_in(Cluster::private(&[]), flags)
    }

    /// One where uses of keys are kept, as in production.
    pub fn open_preloaded(flags: &[&str]) -> Self {
        Self::open_in(Cluster::preloaded(&["apikey.usage_flush_interval = 1s"]), flags)
    }

    fn open_in(cluster: Cluster, flags: &[&str]) -> Self {
        let mut database = Database::in_cluster(cluster);
        database.client_program("psql", &["-Xq", "-f", ROLES]).success();
        let ada = database.login("ada", "IN ROLE apikey_manager");
        let bob = database.login("bob", "IN ROLE apikey_manager");
        let audrey = database.login("audrey", "IN ROLE apikey_auditor");
        let chester = database.login("chester", "IN ROLE apikey_checker");
        let stranger = database.login("stranger", "");
        let flags = [&["--admin-listen", "127.0.0.1:0"], flags].concat();
        let shim = Shim::start_for_auth(&mut database, &flags);
        Self { shim, database, ada, bob, audrey, chester, stranger }
    }

    pub fn visitor(&self) -> Visitor {
        self.visitor_by_proxy(&[])
    }

    /// One whose owner prefers a language.
    pub fn visitor_speaking(&self, language: &str) -> Visitor {
        self.visitor_by_proxy(&[&format!("Accept-Language: {language}")])
    }

    /// Behind a proxy of ours that has TLS.
    pub fn visitor_by_proxy(&self, header_lines: &[&str]) -> Visitor {
        let flags = header_lines.iter().flat_map(|line| ["--header", line]);
        Visitor::new(self.shim.admin_url(""), flags)
    }

    /// By TLS, trusting this certificate.
    pub fn visitor_by_tls(&self, certificate: &Path) -> Visitor {
        let url = format!("https://{}", self.shim.admin_place(""));
        Visitor::new(url, ["--cacert", certificate.to_str().unwrap()])
    }

    /// Somebody who has signed in.
    pub fn desk_of(&self, login: &Login) -> Visitor {
        let mut visitor = self.visitor();
        let answer = visitor.sign_in(login);
        assert_eq!(answer.status(), 303, "{}", answer.body);
        visitor
    }

    /// The keytest as the platform publishes it.
    pub fn keytest(&self, key: &str) -> Output {
        let header = format!("Authorization: Api-Key {key}");
        let url = self.shim.keytest();
        run(&mut program("curl", &["-sS", "--request", "GET", "--url", &url, "--header", &header]))
    }

    /// That the secret of a key is in no log.
    #[track_caller]
    pub fn assert_not_logged(&self, key: &str) {
        for log in [self.shim.log(), self.database.cluster.log()] {
            assert!(!log.contains(&key[9..]), "{log}");
        }
    }

    /// Connections of people to Postgres.
    pub fn connections(&self) -> String {
        self.sql(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'apikey-admin%'",
        )
    }

    pub fn sql(&self, statement: &str) -> String {
        one(&mut self.database.superuser(), statement).unwrap_or_default()
    }
}
