//! What holds in front of a service, whichever proxy it is.

use apikey_tests::{Database, Output, Proxy, Shim, one, program, run, wrong_secret};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use tempfile::TempDir;

const SERVICE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/proxies/service.py");
/// A client's address: all of 127.0.0.0/8 is this machine.
const HOME: &str = "127.0.0.2";
const ELSEWHERE: &str = "127.0.0.3";
/// A key's name and owner, and what the service reads.
const NAME: (&str, &str) = ("box office, caf\u{e9}", "box%20office%2C%20caf%C3%A9");
const OWNER: &str = "ada@example.org";

/// Where the proxy finds them.
pub struct Backends {
    pub shim: String,
    pub service: String,
}

/// A service, which goes with it.
struct Service {
    child: Child,
    port: u16,
    files: TempDir,
}

impl Service {
    fn start() -> Self {
        let files = tempfile::tempdir().unwrap();
        let seen = files.path().join("seen");
        std::fs::write(&seen, "").unwrap();
        let mut child = program("/usr/bin/python3", &["-u", SERVICE, seen.to_str().unwrap()])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { port: line.trim().parse().unwrap(), child, files }
    }

    /// How many requests have reached it.
    fn seen(&self) -> usize {
        std::fs::read_to_string(self.files.path().join("seen")).unwrap().lines().count()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A service behind a proxy that asks a shim, and keys for it.
struct Front {
    proxy: Proxy,
    shim: Shim,
    service: Service,
    database: Database,
    /// Grants `event`, from HOME.
    key: String,
    /// Grants something else, from anywhere.
    other: String,
}

impl Front {
    fn start(start: impl FnOnce(&Backends) -> Proxy) -> Self {
        let mut database = Database::new();
        let create =
            format!("SELECT apikey_create('{}', 'event', '{HOME}', owner => '{OWNER}')", NAME.0);
        let key = one(&mut database.superuser(), &create).unwrap();
        let other = database.key("'ticket'");
        let shim = Shim::start_for_auth(&mut database, &["--trusted-proxy", "127.0.0.1"]);
        let service = Service::start();
        let backends = Backends {
            shim: shim.address.to_string(),
            service: format!("127.0.0.1:{}", service.port),
        };
        Self { proxy: start(&backends), shim, service, database, key, other }
    }

    /// A request by curl from an address. The status comes first, then headers and body.
    fn curl(&self, from: &str, path: &str, arguments: &[&str]) -> Response {
        let url = format!("http://{}{path}", self.proxy.address);
        let common = ["-sS", "-i", "--max-time", "20", "--path-as-is", "--interface", from];
        let output: Output = run(program("curl", &common).args(arguments).arg(&url));
        assert_eq!(output.code, Some(0), "{path} {arguments:?}: {}", output.stderr);
        let mut answer = output.stdout;
        while let Some((_, rest)) =
            answer.split_once("\r\n\r\n").filter(|_| answer.starts_with("HTTP/1.1 100 "))
        {
            answer = rest.to_owned();
        }
        Response(answer)
    }

    fn ask(&self, from: &str, path: &str, key: &str, lines: &[&str]) -> Response {
        let key = format!("Authorization: Api-Key {key}");
        let arguments: Vec<_> =
            [&[&*key], lines].concat().into_iter().flat_map(|line| ["-H", line]).collect();
        self.curl(from, path, &arguments)
    }

    /// That a request is refused before it reaches the service.
    #[track_caller]
    fn assert_refused(&self, status: u16, ask: impl FnOnce() -> Response) {
        let seen = self.service.seen();
        let response = ask();
        assert_eq!(response.status(), status, "{}", response.0);
        assert_eq!(self.service.seen(), seen, "it reached the service");
        let challenge = response.header("www-authenticate");
        assert_eq!(challenge.is_some(), status == 401, "{}", response.0);
        assert_eq!(response.header("x-apikey-prefix"), None, "{}", response.0);
    }
}

struct Response(String);

impl Response {
    fn status(&self) -> u16 {
        self.0.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap()
    }

    fn header(&self, name: &str) -> Option<&str> {
        let (head, _) = self.0.split_once("\r\n\r\n").unwrap();
        let pairs = head.lines().filter_map(|line| line.split_once(": "));
        pairs.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }

    /// What the service was asked.
    #[track_caller]
    fn asked(&self) -> Value {
        assert_eq!(self.status(), 200, "{}", self.0);
        let (_, body) = self.0.rsplit_once("\r\n\r\n").unwrap();
        serde_json::from_str(body).unwrap_or_else(|_| panic!("not the service's: {}", self.0))
    }

    /// All that the answer has of a header.
    fn all(&self, name: &str) -> Vec<String> {
        let (head, _) = self.0.rsplit_once("\r\n\r\n").unwrap();
        let pairs = head.lines().filter_map(|line| line.split_once(": "));
        let values = pairs.filter(|(key, _)| key.eq_ignore_ascii_case(name));
        values.map(|(_, value)| value.to_lowercase()).collect()
    }

    /// The values of a header that reached the service.
    #[track_caller]
    fn reached(&self, name: &str) -> Vec<String> {
        let asked = self.asked();
        let headers = asked["headers"].as_array().unwrap().iter();
        let values = headers.filter(|header| header[0] == name);
        values.map(|header| header[1].as_str().unwrap().to_owned()).collect()
    }

    #[track_caller]
    fn assert_identity(&self, key: &str) {
        for (name, value) in [
            ("x-apikey-prefix", &key[..8]),
            ("x-apikey-name", NAME.1),
            ("x-apikey-owner", OWNER),
            ("x-apikey-auth", "\"event\""),
        ] {
            assert_eq!(self.reached(name), [value], "{name}: {}", self.0);
        }
        let tenant = self.reached("x-apikey-tenant");
        assert!(tenant.is_empty() || tenant == [""], "{tenant:?}");
    }
}

pub fn who_passes_and_who_does_not(start: impl FnOnce(&Backends) -> Proxy) {
    let front = Front::start(start);
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
}

pub fn what_a_client_forges_does_not_get_through(start: impl FnOnce(&Backends) -> Proxy) {
    let front = Front::start(start);
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

    // Headers of the connection go no further (RFC 9110, 7.6.1), but the proxy's own are not the client's to name.
    let dropped =
        "Connection: close, X-Apikey-Owner, X-Apikey-Prefix, X-Apikey-Scope, X-Forwarded-For";
    for (key, may_pass) in [(key, true), (other, false)] {
        let seen = front.service.seen();
        let answer = front.ask(HOME, "/events/", key, &[dropped]);
        if may_pass && answer.status() == 200 {
            answer.assert_identity(key);
        } else {
            // A client whose address got lost passes no rule; Envoy takes such a request for an attack.
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
    assert_eq!(told.last().and_then(|line| line.split(", ").last()), Some(ELSEWHERE), "{told:?}");

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
}

pub fn it_is_the_same_over_http2(start: impl FnOnce(&Backends) -> Proxy) {
    let front = Front::start(start);
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
}

pub fn two_keys_are_none(start: impl FnOnce(&Backends) -> Proxy) {
    let front = Front::start(start);
    let Front { key, other, .. } = &front;
    for (name, scheme) in [("X-Api-Key", ""), ("Authorization", "Api-Key ")] {
        let line = |key: &str| format!("{name}: {scheme}{key}");
        let (one, another) = (line(key), line(other));
        for lines in [[&one, &one], [&one, &another], [&another, &one], [&one, &one.to_lowercase()]]
        {
            let seen = front.service.seen();
            let response = front.curl(HOME, "/", &["-H", lines[0], "-H", lines[1]]);
            assert!([400, 401].contains(&response.status()), "{lines:?}: {}", response.0);
            assert_eq!(front.service.seen(), seen, "{lines:?}");
        }
    }
}

pub fn large_bodies_pass(start: impl FnOnce(&Backends) -> Proxy) {
    let front = Front::start(start);
    let body = "large ".repeat(1_500_000 / 6);
    let file = front.service.files.path().join("body");
    std::fs::write(&file, &body).unwrap();
    let data = format!("@{}", file.display());
    let key = format!("X-Api-Key: {}", front.key);
    for lines in [
        &["Expect:"][..],
        &["Expect: 100-continue"],
        &["Expect:", "Transfer-Encoding: chunked"],
        &["Expect: 100-continue", "Transfer-Encoding: chunked"],
    ] {
        let post = |line: &str| {
            let lines = [&[line], lines].concat();
            let arguments: Vec<_> = lines.iter().flat_map(|line| ["-H", line]).collect();
            front.curl(HOME, "/events/", &[&["--data-binary", &data], &arguments[..]].concat())
        };
        let asked = post(&key).asked();
        assert_eq!(asked["method"], "POST");
        assert!(asked["body"] == *body, "{lines:?}: another body");
        front.assert_refused(401, || post("X-No: key"));
    }
}

/// A page of this origin may ask, as each configuration says.
const PAGE: &str = "https://shop.example";

pub fn a_browser_may_ask_and_nothing_passes_by_that(start: impl FnOnce(&Backends) -> Proxy) {
    let front = Front::start(start);
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
        allows("access-control-allow-methods", &["get", "head", "post", "put", "patch", "delete"]);
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

    // The page reads what it gets, a refusal, too; another's page does not. What the service says of it does not count.
    let read = |line: &str, from: &str| {
        let answer = front.curl(HOME, "/", &["-H", line, "-H", &origin(from)]);
        assert_eq!(answer.all("access-control-allow-credentials"), [""; 0], "{}", answer.0);
        assert!(answer.all("vary").iter().any(|value| value.contains("origin")), "{}", answer.0);
        (answer.status(), answer.all("access-control-allow-origin"))
    };
    assert_eq!(read(&key_line, PAGE), (200, vec![PAGE.to_owned()]));
    assert_eq!(read("X-No: key", PAGE), (401, vec![PAGE.to_owned()]));
    assert_eq!(read(&key_line, "https://evil.example"), (200, vec![]));
    assert_eq!(read("X-No: key", "https://evil.example"), (401, vec![]));
}

pub fn nothing_passes_while_keys_cannot_be_checked(start: impl FnOnce(&Backends) -> Proxy) {
    let mut front = Front::start(start);
    let (key, other) = (front.key.clone(), front.other.clone());
    front.ask(HOME, "/", &key, &[]).assert_identity(&key);
    // The database refuses the shim.
    let hide = "ALTER FUNCTION apikey.authorize_key RENAME TO hidden;
                ALTER FUNCTION apikey.authorize_key_at_once RENAME TO hidden_at_once";
    front.database.superuser().batch_execute(hide).unwrap();
    front.assert_refused(503, || front.ask(HOME, "/", &key, &[]));
    front.assert_refused(503, || front.ask(HOME, "/events/", &other, &["Content-Type: x"]));
    let restore = "ALTER FUNCTION apikey.hidden RENAME TO authorize_key;
                   ALTER FUNCTION apikey.hidden_at_once RENAME TO authorize_key_at_once";
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
}
