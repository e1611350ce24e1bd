//! Somebody who uses the admin page by curl.

use crate::{Answer, Login, program, run};
use tempfile::TempDir;

/// curl with a jar for cookies, which brings along what the last form had hidden.
pub struct Visitor {
    url: String,
    files: TempDir,
    flags: Vec<String>,
    pub csrf: String,
    pub page: String,
}

impl Visitor {
    pub fn new<'a>(url: String, flags: impl IntoIterator<Item = &'a str>) -> Self {
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

    /// Where an answer leads to.
    #[track_caller]
    pub fn follow(&mut self, answer: &Answer) -> Answer {
        self.get(answer.header("location").unwrap_or_else(|| panic!("{}", answer.head)))
    }

    /// What is to be read on the last page.
    pub fn text(&self) -> String {
        let parts =
            self.page.split('<').map(|part| part.split_once('>').map_or(part, |(_, text)| text));
        let text = parts.collect::<Vec<_>>().join(" ");
        let signs = [("&quot;", "\""), ("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")];
        signs.iter().fold(text, |text, (escaped, sign)| text.replace(escaped, sign))
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

    /// Has it send a cookie that somebody else chose.
    pub fn plant(&self, name: &str, value: &str) {
        std::fs::write(self.jar(), format!("127.0.0.1\tFALSE\t/\tFALSE\t0\t{name}\t{value}\n"))
            .unwrap();
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
