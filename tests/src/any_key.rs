//! Rows of `apikey.key` that no constraint refuses, and that nobody would think of.

use fastrand::Rng;
use std::fmt::Write;

/// By a seed that is printed (`KEYS_SEED` chooses it).
pub struct AnyKeys(Rng);

/// A key, and the statement that inserts its row.
pub struct AnyKey {
    pub key: String,
    pub insert: String,
}

const ALPHANUMERIC: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const OF_SCOPES: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:/-";

/// From the first moment that Postgres knows to the last.
const TIMES: [&str; 12] = [
    "-infinity",
    "4714-11-24 00:00:00+00 BC",
    "0044-03-15 12:00:00+00 BC",
    "0001-01-01 00:00:00+00",
    "1970-01-01 00:00:00+00",
    "2000-01-01 00:00:00+00",
    "2024-02-29 23:59:59.999999+00",
    "2038-01-19 03:14:08+00",
    "9999-12-31 23:59:59.999999+00",
    "10000-01-01 00:00:00+00",
    "294276-12-31 23:59:59.999999+00",
    "infinity",
];

/// Between letters: what SQL, JSON, CSV, HTML and terminals take for something else, blanks of all
/// kinds, marks that turn the direction, and the ends of each length in UTF-8.
const ODD: [&str; 40] = [
    "'",
    "\"",
    "\\",
    "%",
    "_",
    "%s",
    "$1",
    "{}",
    "{",
    ",",
    ";",
    "--",
    "<b>",
    "&amp;",
    "=",
    "\t",
    "\n",
    "\r",
    " ",
    "\u{1}",
    "\u{1b}",
    "\u{7f}",
    "\u{80}",
    "\u{85}",
    "\u{a0}",
    "\u{7ff}",
    "\u{800}",
    "\u{2028}",
    "\u{202e}",
    "\u{3000}",
    "\u{feff}",
    "\u{fffe}",
    "\u{ffff}",
    "\u{10000}",
    "\u{10ffff}",
    "e\u{301}",
    "İ",
    "ı",
    "ß",
    "\u{1f468}\u{200d}\u{1f4bb}",
];

impl AnyKeys {
    pub fn new() -> Self {
        let seed = std::env::var("KEYS_SEED").ok().map(|seed| seed.parse().unwrap());
        let seed = seed.unwrap_or_else(|| fastrand::u64(..));
        println!("KEYS_SEED={seed}");
        Self(Rng::with_seed(seed))
    }

    pub fn draw(&mut self) -> AnyKey {
        let prefix = self.word(ALPHANUMERIC, 8);
        let key = format!("{prefix}.{}", self.word(ALPHANUMERIC, 32));
        let created = self.0.usize(..TIMES.len());
        let later = |random: &mut Rng| TIMES[random.usize(created..TIMES.len())];
        let expires_at = self.optional(|any| literal(later(&mut any.0)));
        let disabled_at = self.rarely(|any| literal(later(&mut any.0)));
        let revoked_at = self.rarely(|any| literal(later(&mut any.0)));
        let is_revoked = revoked_at != "NULL";
        let revoked_by = if is_revoked { literal(&self.text(0, 300)) } else { "NULL".to_owned() };
        let reason = if is_revoked {
            self.optional(|any| literal(&any.text(0, 3000)))
        } else {
            "NULL".to_owned()
        };
        let replaced_by = self.rarely(|any| literal(&any.word(ALPHANUMERIC, 8)));
        let (verifier, tag) = self.verifier(&key);
        let columns = [
            ("prefix", literal(&prefix)),
            ("verifier", verifier),
            ("tag", tag),
            ("name", literal(&self.not_blank())),
            ("owner", literal(&self.not_blank())),
            ("auth", literal(&self.auth())),
            ("allowed_ips", self.optional(Self::networks)),
            ("created_at", literal(TIMES[created])),
            ("created_by", literal(&self.text(0, 300))),
            ("expires_at", expires_at),
            ("disabled_at", disabled_at),
            ("revoked_at", revoked_at),
            ("revoked_by", revoked_by),
            ("revoke_reason", reason),
            (
                "tenant",
                literal(
                    self.text(0, 200)
                        .trim_matches(|c: char| c.is_ascii_whitespace() || c == '\u{b}'),
                ),
            ),
            ("metadata", literal(&self.metadata())),
            ("replaced_by", replaced_by),
        ];
        let (names, values): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
        let insert =
            format!("INSERT INTO apikey.key ({}) VALUES ({})", names.join(", "), values.join(", "));
        AnyKey { key, insert }
    }

    fn optional(&mut self, value: impl FnOnce(&mut Self) -> String) -> String {
        if self.0.bool() { value(self) } else { "NULL".to_owned() }
    }

    fn rarely(&mut self, value: impl FnOnce(&mut Self) -> String) -> String {
        if self.0.u8(..5) == 0 { value(self) } else { "NULL".to_owned() }
    }

    /// Mostly one of ours, with a tag or without, and those of Django.
    fn verifier(&mut self, key: &str) -> (String, String) {
        let ours = format!("apikey.make_verifier('{key}')");
        match self.0.u8(..6) {
            0 => (format!("'sha512$$' || encode(sha512('{key}'), 'hex')"), "NULL".to_owned()),
            1 => (format!("'argon2' || {ours}"), "NULL".to_owned()),
            _ => (ours, "NULL".to_owned()),
        }
    }

    fn word(&mut self, of: &[u8], length: usize) -> String {
        (0..length).map(|_| char::from(of[self.0.usize(..of.len())])).collect()
    }

    /// Any characters but NUL, which Postgres has no place for.
    fn text(&mut self, least: usize, most: usize) -> String {
        let most = if self.0.bool() { most } else { most.min(12) };
        let length = self.0.usize(least..=most);
        let mut text = String::new();
        while text.chars().count() < length {
            match self.0.u8(..4) {
                0 => text.push_str(ODD[self.0.usize(..ODD.len())]),
                1 => text.push(self.0.char('\u{1}'..)),
                _ => text.push(char::from(self.0.alphanumeric() as u8)),
            }
        }
        text.chars().take(length).collect()
    }

    fn not_blank(&mut self) -> String {
        loop {
            let text = self.text(1, 200);
            if !text.chars().all(|c| c.is_ascii_whitespace() || c == '\u{b}') {
                return text;
            }
        }
    }

    /// In each of its shapes, as JSON.
    fn auth(&mut self) -> String {
        let most = if self.0.bool() { 64 } else { 3 };
        let mut names = self.scopes(most);
        match self.0.u8(..3) {
            0 => format!("\"{}\"", names.remove(0)),
            1 => format!("[{}]", quoted(&names).join(",")),
            _ => {
                let members =
                    quoted(&names).into_iter().map(|name| format!("{name}:{}", self.0.bool()));
                format!("{{{}}}", members.collect::<Vec<_>>().join(","))
            }
        }
    }

    fn scopes(&mut self, most: usize) -> Vec<String> {
        let count = self.0.usize(1..=most);
        (0..count)
            .map(|_| {
                let length = if self.0.bool() { 64 } else { self.0.usize(1..=8) };
                self.word(OF_SCOPES, length)
            })
            .collect()
    }

    /// One dimension with any bounds, of networks of both families, with bits to the right of the
    /// mask.
    fn networks(&mut self) -> String {
        let count = if self.0.bool() { 1 } else { self.0.usize(1..=64) };
        let networks: Vec<_> = (0..count)
            .map(|_| {
                if self.0.bool() {
                    let [a, b, c, d] = self.0.u32(..).to_be_bytes();
                    format!("{a}.{b}.{c}.{d}/{}", self.0.u8(..=32))
                } else {
                    let address = match self.0.u8(..4) {
                        0 => u128::from(self.0.u32(..)) | 0xffff << 32, // an IPv4 address in IPv6
                        _ => self.0.u128(..),
                    };
                    format!("{}/{}", std::net::Ipv6Addr::from(address), self.0.u8(..=128))
                }
            })
            .collect();
        let first = self.0.i32(-3..3);
        let bounds = format!("[{first}:{}]=", first + networks.len() as i32 - 1);
        let bounds = if self.0.bool() { bounds } else { String::new() };
        literal(&format!("{bounds}{{{}}}", networks.join(",")))
    }

    /// An object: small, deep, wide, or with numbers and texts of any kind.
    fn metadata(&mut self) -> String {
        match self.0.u8(..6) {
            0 => "{}".to_owned(),
            1 => r#"{"null": null, "": [null, {"null": null}], "true": true}"#.to_owned(),
            2 => {
                let depth = self.0.usize(1..4000);
                format!("{{\"deep\": {}{}}}", "[".repeat(depth), "]".repeat(depth))
            }
            3 => format!("{{\"number\": -1e{}, \"least\": 1e-300}}", self.0.u32(..2000)),
            4 => {
                let members =
                    (0..self.0.usize(1..100)).map(|number| format!("\"{number}\": {number}"));
                format!("{{{}}}", members.collect::<Vec<_>>().join(", "))
            }
            _ => format!("{{{0}: {0}}}", json(&self.text(0, 300))),
        }
    }
}

impl Default for AnyKeys {
    fn default() -> Self {
        Self::new()
    }
}

fn quoted(names: &[String]) -> Vec<String> {
    names.iter().map(|name| format!("\"{name}\"")).collect()
}

/// As SQL has it.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// As JSON has it.
fn json(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => write!(quoted, "\\u{:04x}", c as u32).unwrap(),
            c => quoted.push(c),
        }
    }
    quoted + "\""
}
