//! The PROXY protocol as haproxy and curl speak it.

use apikey_tests::{Answer, Database, Shim, eventually, free_address, program, run};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};

/// haproxy passes bytes on, and says whose.
struct Balancer {
    child: Child,
    ports: Vec<u16>,
    files: tempfile::TempDir,
}

impl Balancer {
    /// A port for each way of saying it. `check` asks whether the shim lives, in the same way.
    fn start(shim: &Shim, ways: &[&str]) -> Self {
        let files = tempfile::tempdir().unwrap();
        let ports: Vec<_> = ways.iter().map(|_| free_address().port()).collect();
        let mut config =
            "defaults\n mode tcp\n timeout connect 5s\n timeout client 20s\n timeout server 20s\n"
                .to_owned();
        for (port, way) in ports.iter().zip(ways) {
            config += &format!(
                "listen port{port}\n bind 127.0.0.1:{port}\n option httpchk GET /live\n server shim {} {way}\n",
                shim.address
            );
        }
        let path = files.path().join("haproxy.cfg");
        std::fs::write(&path, config).unwrap();
        let child = program("haproxy", &["-db", "-f", path.to_str().unwrap()])
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(files.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        for port in &ports {
            eventually("haproxy listens", || TcpStream::connect(("127.0.0.1", *port)).is_ok());
        }
        Self { child, ports, files }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.files.path().join("log")).unwrap()
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// From an address of the loopback network.
fn curl(from: &str, flags: &[&str], url: &str, key: &str) -> String {
    let mut command = program("curl", &["--silent", "--max-time", "20", "--interface", from]);
    run(command.args(flags).args(["--header", &format!("X-Api-Key: {key}"), url])).stdout
}

#[test]
fn haproxy_tells_whose_connection_it_is() {
    let mut database = Database::new();
    let key = database.key("'event', '127.0.0.9'");
    let shim = Shim::start(&mut database, &["--proxy-protocol", "127.0.0.1", "--log-requests"]);
    let ways = ["send-proxy", "send-proxy-v2", "check check-send-proxy inter 200ms send-proxy-v2"];
    let balancer = Balancer::start(&shim, &ways);
    for (port, way) in balancer.ports.iter().zip(ways) {
        for (from, is_valid) in [("127.0.0.9", true), ("127.0.0.8", false)] {
            let url = format!("http://127.0.0.1:{port}/api/user/keytest/");
            let expected =
                format!(r#"{{"auth":"event","ip_request":"{from}","ip_valid":{is_valid}}}"#);
            assert_eq!(curl(from, &[], &url, &key), expected, "{way}");
        }
    }
    // Its own questions are on connections of its own (LOCAL), and it has found us alive.
    eventually("it has asked", || shim.log().contains(r#""route":"live""#));
    assert!(!balancer.log().contains("DOWN"), "{}", balancer.log());
}

#[test]
fn a_balancer_must_say_it_and_nobody_else_may() {
    let mut database = Database::new();
    let key = database.key("'event'");
    let checker = database.checker();
    let flags = ["--proxy-protocol", "127.0.0.1"];
    let shim = Shim::start_as(&checker, &database.conninfo(&checker), &flags);
    let request = "GET /live HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n";
    let mut without = shim.connect();
    without.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let _ = without.read_to_end(&mut answer);
    assert_eq!(String::from_utf8_lossy(&answer), "", "it is told nothing");
    eventually("the log says so", || shim.log().contains("PROXY protocol"));

    let address = shim.address.to_string();
    let keytest = shim.keytest();
    assert!(curl("127.0.0.1", &["--haproxy-protocol"], &keytest, &key).contains("127.0.0.1"));
    assert!(curl("127.0.0.9", &[], &keytest, &key).contains("127.0.0.9"));
    let status = ["--write-out", "%{http_code}", "--output", "/dev/null", "--haproxy-protocol"];
    assert_eq!(curl("127.0.0.9", &status, &keytest, &key), "400", "from {address}");

    // What a balancer says counts, and not what a client adds.
    let lines = format!("X-Api-Key: {key}\r\nX-Forwarded-For: 192.0.2.99\r\nConnection: close");
    let claiming = format!(
        "PROXY TCP4 192.0.2.7 10.0.0.1 4711 80\r\n\
         GET /api/user/keytest/ HTTP/1.1\r\nHost: test\r\n{lines}\r\n\r\n"
    );
    let answer = shim.send(claiming.as_bytes());
    assert!(answer.body.contains(r#""ip_request":"192.0.2.7""#), "{}", answer.body);
    // Half a header keeps nobody for ever.
    let flags = ["--proxy-protocol", "127.0.0.1", "--header-timeout", "300ms"];
    let shim = Shim::start_as(&checker, &database.conninfo(&checker), &flags);
    let mut half = shim.connect();
    half.write_all(b"PROXY TCP4 192.0.").unwrap();
    assert_eq!(half.read_to_end(&mut Vec::new()).unwrap(), 0);
    let named = shim.send(format!("PROXY UNKNOWN\r\n{request}").as_bytes());
    assert_eq!(Answer::status(&named), 200);
}
