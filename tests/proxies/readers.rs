//! Services that read paths in their own ways. Each gets the bytes that the proxy sent.

use crate::front::started;
use apikey_tests::{Answer, Proxy, ProxyFiles, free_address};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Child;
use std::thread;

const OWN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/proxies/readers");

/// What answers for all of them: `{"target": "/events/", "event": ["go", "node", "wsgi"]}`, with
/// those who take it for that.
pub struct Readers {
    pub address: String,
    children: Vec<Child>,
    _go: Proxy,
}

impl Readers {
    pub fn start() -> Self {
        let (wsgi, wsgi_port) = started("/usr/bin/python3", &["-u", &format!("{OWN}/wsgi.py")]);
        let (node, node_port) = started("node", &[&format!("{OWN}/node.js")]);
        let (files, go) = (ProxyFiles::new(), free_address());
        let settings = std::fs::read_to_string(format!("{OWN}/Caddyfile")).unwrap();
        let settings = settings.replace("PORT", &go.port().to_string());
        let (home, settings) =
            (format!("HOME={}", files.directory()), files.write("Caddyfile", &settings));
        let run = ["env", &home, "caddy", "run", "--adapter", "caddyfile", "--config", &settings];
        let readers = [
            ("go", go.to_string()),
            ("node", format!("127.0.0.1:{node_port}")),
            ("wsgi", format!("127.0.0.1:{wsgi_port}")),
        ];
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        // Ends with the process.
        thread::spawn(move || {
            for stream in listener.incoming() {
                let readers = readers.clone();
                thread::spawn(move || answer(stream.unwrap(), &readers));
            }
        });
        Self { address, children: vec![wsgi, node], _go: Proxy::start(files, go, &run) }
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A head with the empty line behind it, or less where the connection ends before.
pub fn head(stream: &mut impl Read) -> Vec<u8> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read > 0) {
        head.push(byte[0]);
    }
    head
}

/// One request, without a body.
fn answer(mut stream: TcpStream, readers: &[(&str, String)]) {
    let head = head(&mut stream);
    if head.is_empty() {
        return; // a connection that was made in advance
    }
    let takes_it_for_that = |address: &str| {
        let mut reader = TcpStream::connect(address).unwrap();
        reader.write_all(&head).unwrap();
        Answer::read(reader).body == "event"
    };
    let event: Vec<_> = readers
        .iter()
        .filter(|(_, address)| takes_it_for_that(address))
        .map(|(name, _)| *name)
        .collect();
    let line = String::from_utf8_lossy(head.split(|byte| *byte == b'\r').next().unwrap());
    let target = line.split_once(' ').and_then(|(_, rest)| rest.rsplit_once(' ')).unwrap().0;
    let body: Value = json!({ "target": target, "event": event });
    let body = body.to_string();
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close";
    let _ = write!(stream, "{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
}
