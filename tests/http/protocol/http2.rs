//! HTTP/2 by the frame (RFC 9113), through openssl: what no client would send, or when it would
//! not.

use apikey_tests::{Shim, program};
use std::io::{Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

/// But for what names the host.
pub const REQUEST: [(&str, &str); 3] =
    [(":method", "GET"), (":scheme", "https"), (":path", "/live")];

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const CONTINUATION: u8 = 9;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

pub struct Http2 {
    child: Child,
    stdin: ChildStdin,
    stdout: ChildStdout,
}

impl Http2 {
    pub fn connect(shim: &Shim) -> Self {
        let address = shim.address.to_string();
        let arguments =
            ["30", "openssl", "s_client", "-quiet", "-alpn", "h2", "-connect", &address];
        let mut child = program("timeout", &arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let mut client = Self { child, stdin, stdout };
        client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        client.frame(SETTINGS, 0, 0, &[]);
        client
    }

    fn send(&mut self, bytes: &[u8]) {
        self.stdin.write_all(bytes).unwrap();
        self.stdin.flush().unwrap();
    }

    fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
        self.send(&[&head, payload].concat());
    }

    /// The head of a request, or its first part.
    pub fn head(&mut self, stream: u32, is_whole: bool, fields: &[(&str, &str)]) {
        let flags = END_STREAM | if is_whole { END_HEADERS } else { 0 };
        self.frame(HEADERS, flags, stream, &literal(fields));
    }

    /// The last part of a head.
    pub fn rest(&mut self, stream: u32, fields: &[(&str, &str)]) {
        self.frame(CONTINUATION, END_HEADERS, stream, &literal(fields));
    }

    /// The head of the answer, when it has come to its end. Whether the client is there is answered
    /// meanwhile.
    pub fn answer(&mut self, stream: u32) -> Vec<u8> {
        let mut header = Vec::new();
        loop {
            let (kind, flags, of, payload) = self.read().unwrap();
            match kind {
                PING if flags & ACK == 0 => self.frame(PING, ACK, 0, &payload),
                HEADERS if of == stream => header = payload,
                _ => {}
            }
            if of == stream && [HEADERS, DATA].contains(&kind) && flags & END_STREAM > 0 {
                return header;
            }
        }
    }

    /// Until the shim hangs up, which it does without another answer.
    pub fn assert_is_hung_up_on(mut self) {
        while let Some((kind, ..)) = self.read() {
            assert_ne!(kind, HEADERS);
        }
        let within_a_minute = self.child.wait().unwrap().code() != Some(124);
        assert!(within_a_minute, "the connection is still open");
    }

    /// The next frame: its type, flags, stream and payload.
    fn read(&mut self) -> Option<(u8, u8, u32, Vec<u8>)> {
        let mut head = [0; 9];
        self.stdout.read_exact(&mut head).ok()?;
        let [_, _, _, kind, flags, of @ ..] = head;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        self.stdout.read_exact(&mut payload).ok()?;
        Some((kind, flags, u32::from_be_bytes(of), payload))
    }
}

impl Drop for Http2 {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// HPACK without any of its arts (RFC 7541, 6.2.2).
fn literal(fields: &[(&str, &str)]) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    fields.iter().flat_map(|(name, value)| [vec![0], text(name), text(value)].concat()).collect()
}
