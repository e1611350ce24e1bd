//! What tokio-postgres refuses of a libpq connection string, which it parses otherwise: some of
//! `sslmode`, `sslrootcert` and `target_session_attrs` are taken out before it sees the string.
//!
//! No message from here repeats a value: a misquoted string may have its password anywhere.

use std::path::PathBuf;

use percent_encoding::percent_decode_str;

use crate::session_attrs::Wanted;

/// libpq's `sslmode`, without `allow`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SslMode {
    Disable,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RootCert {
    System,
    File(PathBuf),
}

/// What the string says about TLS; `None` where it says nothing.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct SslParameters {
    pub mode: Option<SslMode>,
    pub root: Option<RootCert>,
}

/// What is taken out of the string.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Taken {
    pub ssl: SslParameters,
    pub wanted: Wanted,
}

/// Splits a URL or key=value string into what tokio-postgres shall parse, and the rest.
pub fn split(text: &str) -> Result<(String, Taken), String> {
    let mut taken = Taken::default();
    let is_url = ["postgres://", "postgresql://"].iter().any(|scheme| text.starts_with(scheme));
    let rest = if is_url { split_url(text, &mut taken)? } else { split_pairs(text, &mut taken)? };
    Ok((rest, taken))
}

impl Taken {
    /// Takes the parameter, or says that it is left.
    fn take(&mut self, key: &str, value: &str) -> Result<bool, String> {
        match key {
            "target_session_attrs" => {
                self.wanted = Wanted::parse(value).ok_or(
                    "target_session_attrs is none of any, read-write, read-only, primary, standby, \
                     prefer-standby",
                )?;
            }
            "sslmode" => self.ssl.mode = Some(ssl_mode(value)?),
            "sslrootcert" => {
                self.ssl.root = match value {
                    "" => None,
                    "system" => Some(RootCert::System),
                    path => Some(RootCert::File(path.into())),
                }
            }
            _ if NOT_SUPPORTED.contains(&key) => {
                return Err(format!("{key} is not supported by this program"));
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// libpq's keywords that are known to no part of this program: named, so that nobody believes
/// that they are in force. (A word that libpq does not know either may be part of a password.)
const NOT_SUPPORTED: [&str; 20] = [
    "gssdelegation",
    "gssencmode",
    "gsslib",
    "krbsrvname",
    "max_protocol_version",
    "min_protocol_version",
    "passfile",
    "require_auth",
    "requirepeer",
    "requiressl",
    "service",
    "ssl_max_protocol_version",
    "ssl_min_protocol_version",
    "sslcert",
    "sslcertmode",
    "sslcrl",
    "sslcrldir",
    "sslkey",
    "sslpassword",
    "sslsni",
];

fn ssl_mode(value: &str) -> Result<SslMode, String> {
    match value {
        "disable" => Ok(SslMode::Disable),
        "prefer" => Ok(SslMode::Prefer),
        "require" => Ok(SslMode::Require),
        "verify-ca" => Ok(SslMode::VerifyCa),
        "verify-full" => Ok(SslMode::VerifyFull),
        "allow" => Err(
            "sslmode=allow is not supported; sslmode=prefer, the default, is what comes closest"
                .into(),
        ),
        _ => Err("sslmode is none of disable, prefer, require, verify-ca, verify-full".into()),
    }
}

/// Only the query of the URL is looked at. It begins at the first `?` after the host; a password
/// before the `@` may contain one.
fn split_url(text: &str, taken: &mut Taken) -> Result<String, String> {
    let host = text.find('@').map_or(0, |at| at + 1);
    let Some(mark) = text[host..].find('?').map(|found| host + found) else {
        return Ok(text.to_owned());
    };
    let mut kept = Vec::new();
    for parameter in text[mark + 1..].split('&') {
        let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let decoded = |part| percent_decode_str(part).decode_utf8();
        let (Ok(key), Ok(value)) = (decoded(key), decoded(value)) else {
            return Err("a percent-encoded parameter is not UTF-8".into());
        };
        if !taken.take(&key, &value)? {
            kept.push(parameter);
        }
    }
    let separator = if kept.is_empty() { "" } else { "?" };
    Ok(format!("{}{separator}{}", &text[..mark], kept.join("&")))
}

/// `key = value key='quoted value'`, with backslash escapes inside and outside of quotes.
fn split_pairs(text: &str, taken: &mut Taken) -> Result<String, String> {
    let malformed = || "the string is neither a postgresql:// URL nor key=value pairs".to_owned();
    let mut kept = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (key, after) = rest.split_once('=').ok_or_else(malformed)?;
        let (value, after) = pair_value(after.trim_start()).ok_or_else(malformed)?;
        let key = key.trim_end();
        if key.is_empty() || key.contains(char::is_whitespace) {
            return Err(malformed());
        }
        if !taken.take(key, &value)? {
            kept.push(rest[..rest.len() - after.len()].trim_end());
        }
        rest = after.trim_start();
    }
    Ok(kept.join(" "))
}

/// The value at the start of the text, and what follows it.
fn pair_value(text: &str) -> Option<(String, &str)> {
    let quoted = text.starts_with('\'');
    let body = if quoted { &text[1..] } else { text };
    let mut value = String::new();
    let mut characters = body.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '\'' if quoted => return Some((value, &body[at + 1..])),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            _ if !quoted && character.is_whitespace() => return Some((value, &body[at..])),
            _ => value.push(character),
        }
    }
    // The end of the text ends a plain value, and leaves a quoted one open.
    (!quoted).then_some((value, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> (String, Option<SslMode>, Option<RootCert>) {
        let (rest, Taken { ssl, .. }) = split(text).unwrap();
        (rest, ssl.mode, ssl.root)
    }

    fn file(path: &str) -> Option<RootCert> {
        Some(RootCert::File(path.into()))
    }

    #[test]
    fn urls() {
        let plain = "postgresql://u:p@h:5433/d";
        assert_eq!(parts(plain), (plain.into(), None, None));
        assert_eq!(
            parts("postgresql://u:p@h/d?sslmode=verify-full&sslrootcert=%2Fca%20x.pem"),
            ("postgresql://u:p@h/d".into(), Some(SslMode::VerifyFull), file("/ca x.pem"))
        );
        assert_eq!(
            parts("postgres:///d?host=%2Frun&ssl%6dode=disable&connect_timeout=3"),
            ("postgres:///d?host=%2Frun&connect_timeout=3".into(), Some(SslMode::Disable), None)
        );
        assert_eq!(
            parts("postgres://u:p?sslmode=x@h?sslmode=require"),
            ("postgres://u:p?sslmode=x@h".into(), Some(SslMode::Require), None)
        );
    }

    #[test]
    fn pairs() {
        assert_eq!(
            parts(" host=h  password='it\\'s sslmode=x' sslmode = 'verify-ca' sslrootcert=/a\\ b "),
            ("host=h password='it\\'s sslmode=x'".into(), Some(SslMode::VerifyCa), file("/a b"))
        );
        assert_eq!(
            parts("sslrootcert=system dbname=d"),
            ("dbname=d".into(), None, Some(RootCert::System))
        );
        assert_eq!(parts("host=h sslrootcert=''"), ("host=h".into(), None, None));
    }

    #[test]
    fn session_attributes() {
        for text in
            ["host=h target_session_attrs=standby", "postgres://h?target_session_attrs=standby"]
        {
            assert_eq!(split(text).unwrap().1.wanted, Wanted::Standby);
        }
        assert_eq!(split("host=h").unwrap().1.wanted, Wanted::Any);
    }

    #[test]
    fn refusals_name_the_parameter_and_no_value() {
        for (text, part) in [
            ("host=h sslmode=allow", "prefer"),
            ("host=h sslmode=secret", "verify-full"),
            ("host=h sslcert=secret", "sslcert"),
            ("host=h target_session_attrs=secret", "prefer-standby"),
            ("postgres://h?sslkey=secret", "sslkey"),
            ("host=h password='secret", "key=value"),
            ("host=h password=my secret", "key=value"),
            ("host=h password=my secret sslmode=require", "key=value"),
        ] {
            let message = split(text).unwrap_err();
            assert!(message.contains(part), "{text}: {message}");
            assert!(!message.contains("secret"), "{message}");
        }
    }
}
