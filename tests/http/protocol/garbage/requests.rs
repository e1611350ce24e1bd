//! Requests as bugs, scanners and attackers send them: well-formed ones with odd parts, of which
//! then some bytes are changed.

use fastrand::Rng;

const METHODS: [&str; 10] =
    ["GET", "GET", "GET", "HEAD", "OPTIONS", "POST", "DELETE", "get", "M-SEARCH", "PATCH"];
const TARGETS: [&str; 16] = [
    "/api/user/keytest/",
    "/api/user/keytest/",
    "/api/user/keytest",
    "/admin/api/user/keytest/?a=b",
    "/live",
    "/ready",
    "/auth?scope=event",
    "/openapi.json",
    "/metrics",
    "*",
    "/",
    "//",
    "/%00/../..%2f",
    "http://test/live",
    "http://u:p@[::1]:80/live",
    "test:443",
];
const ODD_VERSIONS: [&str; 5] = ["HTTP/1.0", "HTTP/2.0", "HTTP/9", "HTTP/1.1 ", ""];
const NAMES: [&str; 18] = [
    "Host",
    "Authorization",
    "Authorization",
    "X-Api-Key",
    "X-Api-Key",
    "X-Request-Id",
    "X-Forwarded-For",
    "Forwarded",
    "X-Forwarded-Host",
    "Origin",
    "Access-Control-Request-Method",
    "Access-Control-Request-Headers",
    "Keep-Alive",
    "TE",
    "Trailer",
    "Cookie",
    "Range",
    "X",
];
/// What decides where a request ends, and whether another one follows.
const FRAMING: [&str; 6] =
    ["Connection", "Upgrade", "HTTP2-Settings", "Expect", "Content-Length", "Transfer-Encoding"];
const VALUES: [&str; 24] = [
    "",
    "test",
    "close",
    "keep-alive",
    "Upgrade, HTTP2-Settings",
    "h2c",
    "websocket",
    "100-continue",
    "0",
    "5",
    "-1",
    "99999999999999999999",
    "5, 5",
    "chunked",
    "gzip, chunked",
    "https://shop.example",
    "null",
    "GET",
    "192.0.2.7",
    "192.0.2.7, [2001:db8::1]:80, unknown,,",
    "for=\"[2001:db8::1]\";by=_x;host=h, for=192.0.2.7",
    "Basic QTpi",
    "bytes=0-0",
    "6f0b3c3e-6f0e-4b52-9d0c-3a1f6f6f3a11",
];
const BEGINNINGS: [&[u8]; 6] = [
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
    b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03",
    b"PROXY TCP4 192.0.2.7 192.0.2.8 1 2\r\n",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c",
    b"\r\n\r\n",
    b"SSH-2.0-client\r\n",
];

fn one<T: Copy>(random: &mut Rng, choices: &[T]) -> T {
    choices[random.usize(..choices.len())]
}

fn bytes(random: &mut Rng, most: usize) -> Vec<u8> {
    let length = random.usize(..most);
    std::iter::repeat_with(|| random.u8(..)).take(length).collect()
}

/// What a connection sends: so many requests after each other.
pub fn some(random: &mut Rng, key: &str, count: u64) -> Vec<u8> {
    let mut all = Vec::new();
    if random.u8(..) < 8 {
        all.extend(one(random, &BEGINNINGS));
    }
    for _ in 0..count {
        if random.u8(..) < 2 {
            all.extend(bytes(random, 300));
            continue;
        }
        let mut request = request(random, key);
        if random.u8(..) < 20 {
            damage(random, &mut request);
        }
        all.extend(request);
    }
    all
}

fn request(random: &mut Rng, key: &str) -> Vec<u8> {
    let end = if random.u8(..) < 250 { "\r\n" } else { one(random, &["\n", "\r", "", "\r\n "]) };
    let (method, target) = (one(random, &METHODS), one(random, &TARGETS));
    let version = if random.u8(..) < 250 { "HTTP/1.1" } else { one(random, &ODD_VERSIONS) };
    let mut request = format!("{method} {target} {version}{end}").into_bytes();
    for _ in 0..random.usize(..12) {
        let name = if random.u8(..) < 4 { one(random, &FRAMING) } else { one(random, &NAMES) };
        request.extend(name.as_bytes());
        request.extend(b": ");
        request.extend(value(random, key));
        request.extend(end.as_bytes());
    }
    request.extend(end.as_bytes());
    if random.u8(..) < 20 {
        request.extend(
            one(random, &["5\r\nhello\r\n0\r\n\r\n", "hello", "ffffffffffffffff\r\n"]).as_bytes(),
        );
    }
    request
}

fn value(random: &mut Rng, key: &str) -> Vec<u8> {
    let text = match random.u8(..8) {
        0 if random.u8(..) < 8 => return bytes(random, 60),
        // All that a value may be made of, which need not be UTF-8.
        0 => {
            return bytes(random, 60)
                .into_iter()
                .filter(|byte| *byte >= 32 && *byte != 127)
                .collect();
        }
        1 => format!("Api-Key {key}"),
        2 => format!("Bearer {key}"),
        3 => key.to_owned(),
        // Of the shape of a key, and nobody's.
        4 => std::iter::repeat_with(|| random.alphanumeric())
            .enumerate()
            .map(|(place, letter)| if place == 8 { '.' } else { letter })
            .take(41)
            .collect(),
        5 if random.u8(..) < 2 => "x".repeat(random.usize(..20_000)),
        _ => one(random, &VALUES).to_owned(),
    };
    text.into_bytes()
}

/// Changes, doubles, removes or cuts off a few bytes.
fn damage(random: &mut Rng, request: &mut Vec<u8>) {
    for _ in 0..random.usize(1..4) {
        if request.is_empty() {
            return;
        }
        let place = random.usize(..request.len());
        let end = (place + random.usize(1..20)).min(request.len());
        match random.u8(..5) {
            0 => request[place] = random.u8(..),
            1 => request[place] ^= 1 << random.u8(..8),
            2 => drop(request.drain(place..end)),
            3 => drop(request.splice(place..place, bytes(random, 20))),
            _ => {
                let part = request[place..end].to_vec();
                drop(request.splice(place..place, part));
            }
        }
    }
    if random.u8(..) < 20 {
        request.truncate(random.usize(..=request.len()));
    }
}
