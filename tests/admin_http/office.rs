//! A database with the roles of `deploy/roles.sql`, people who have them, the shim with the admin page, and curl.

use apikey_tests::{Answer, Cluster, Database, Login, Shim, one, program, run};
use std::path::Path;
use tempfile::TempDir;

const ROLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/roles.sql");

pub struct Office {
    pub shim: Shim,
    pub database: Database,
    pub ada: Login,
    pub audrey: Login,
    pub stranger: Login,
}

impl Office {
    /// In a cluster of its own, since roles are the cluster's.
    pub fn open(flags: &[&str]) -> Self {
        let mut database = Database::in_cluster(Cluster::private(&[]));
        database.client_program("psql", &["-Xq", "-f", ROLES]).success();
        let ada = database.login("ada", "IN ROLE apikey_manager");
        let audrey = database.login("audrey", "IN ROLE apikey_auditor");
        let stranger = database.login("stranger", "");
        let flags = [&["--admin-listen", "127.0.0.1:0"], flags].concat();
        let shim = Shim::start_for_auth(&mut database, &flags);
        Self { shim, database, ada, audrey, stranger }
    }

    pub fn visitor(&self) -> Visitor {
        self.visitor_by_proxy(&[])
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

/// curl with a jar for cookies, which brings along what the last form had hidden.
pub struct Visitor {
    url: String,
    files: TempDir,
    flags: Vec<String>,
    pub csrf: String,
    pub page: String,
}

impl Visitor {
    fn new<'a>(url: String, flags: impl IntoIterator<Item = &'a str>) -> Self {
        Self {
            url,
            files: tempfile::tempdir().unwrap(),
            flags: flags.into_iter().map(str::to_owned).collect(),
            csrf: String::new(),
            page: String::new(),
        }
    }

    pub fn sign_in(&mut self, login: &Login) -> Answer {
        self.get("/sign-in");
        self.post("/sign-in", &[("role", &login.role), ("password", &login.password)])
    }

    pub fn get(&mut self, path: &str) -> Answer {
        let answer = self.ask(path, &[]);
        self.look(&answer);
        answer
    }

    /// With the token that the last page had.
    pub fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let csrf = self.csrf.clone();
        let answer = self.post_with(&csrf, path, fields);
        self.look(&answer);
        answer
    }

    pub fn post_with(&self, csrf: &str, path: &str, fields: &[(&str, &str)]) -> Answer {
        let mut arguments = vec!["--data-urlencode".to_owned(), format!("csrf={csrf}")];
        for (name, value) in fields {
            arguments.extend(["--data-urlencode".to_owned(), format!("{name}={value}")]);
        }
        self.ask(path, &arguments.iter().map(String::as_str).collect::<Vec<_>>())
    }

    pub fn ask(&self, path: &str, arguments: &[&str]) -> Answer {
        let jar = self.jar();
        let mut curl = program("curl", &["-sS", "--include", "--max-time", "30"]);
        curl.args(["--cookie", &jar, "--cookie-jar", &jar]);
        let output = run(curl.args(&self.flags).args(arguments).arg(format!("{}{path}", self.url)));
        assert_eq!(output.code, Some(0), "{}", output.stderr);
        Answer::read(output.stdout.as_bytes())
    }

    /// The file that curl keeps cookies in.
    pub fn jar(&self) -> String {
        self.files.path().join("cookies").to_str().unwrap().to_owned()
    }

    /// One of the cookies, as a browser sends it.
    pub fn cookie(&self, name: &str) -> String {
        let jar = std::fs::read_to_string(self.jar()).unwrap();
        let line = jar.lines().find(|line| line.contains(name)).unwrap();
        format!("{name}={}", line.split('\t').next_back().unwrap())
    }

    /// Another browser that has somehow got hold of the cookies.
    pub fn thief(&self) -> Self {
        let thief = Self::new(self.url.clone(), []);
        std::fs::copy(self.jar(), thief.jar()).unwrap();
        Self { csrf: self.csrf.clone(), ..thief }
    }

    /// The value of a hidden field of the last page.
    pub fn hidden(&self, name: &str) -> String {
        let field = format!("name=\"{name}\" value=\"");
        let rest =
            self.page.split_once(&field).unwrap_or_else(|| panic!("no {name}: {}", self.page));
        rest.1.split_once('"').unwrap().0.to_owned()
    }

    /// Adds a key by the form; gives the answer.
    pub fn add(&mut self, name: &str) -> Answer {
        self.get("/keys/new");
        let once = self.hidden("once");
        self.post(
            "/keys/new",
            &[("once", &once), ("name", name), ("auth", "event"), ("create_revoke", "1")],
        )
    }

    fn look(&mut self, answer: &Answer) {
        self.page.clone_from(&answer.body);
        if answer.body.contains("name=\"csrf\"") {
            self.csrf = self.hidden("csrf");
        }
    }
}

/// The key that a page shows.
pub fn shown_key(answer: &Answer) -> Option<&str> {
    let (_, rest) = answer.body.split_once("<output id=\"new-key\">")?;
    Some(rest.split_once("</output>")?.0)
}
