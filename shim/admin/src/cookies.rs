//! Cookies: the session's, and the language that somebody chose.

use hyper::HeaderMap;
use hyper::header;

/// What the browser keeps for us. Over TLS, names have the prefix that browsers take from this host
/// alone, with `Secure` and for all its paths.
#[derive(Clone, Copy)]
pub enum Cookie {
    Session,
    /// What a form to sign in has to bring along, before there is a session.
    SignIn,
    Language,
}

impl Cookie {
    fn name(self, secure: bool) -> &'static str {
        match (self, secure) {
            (Self::Session, true) => "__Host-apikey-session",
            (Self::Session, false) => "apikey-session",
            (Self::SignIn, true) => "__Host-apikey-sign-in",
            (Self::SignIn, false) => "apikey-sign-in",
            (Self::Language, true) => "__Host-apikey-language",
            (Self::Language, false) => "apikey-language",
        }
    }

    /// How long it lasts, in seconds. The session's ends with the browser, or here.
    fn lifetime(self) -> &'static str {
        match self {
            Self::Language => "; Max-Age=31536000",
            Self::Session | Self::SignIn => "",
        }
    }

    /// `None` where it is not there, or there twice.
    pub fn of(self, headers: &HeaderMap, secure: bool) -> Option<String> {
        let lines = headers.get_all(header::COOKIE);
        let pairs = lines.iter().filter_map(|line| line.to_str().ok());
        let mut values = pairs
            .flat_map(|line| line.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .filter(|(name, _)| *name == self.name(secure))
            .map(|(_, value)| value.to_owned());
        match (values.next(), values.next()) {
            (Some(value), None) => Some(value),
            _ => None,
        }
    }

    pub fn set(self, value: &str, secure: bool) -> String {
        let (name, lifetime) = (self.name(secure), self.lifetime());
        let secure = if secure { "; Secure" } else { "" };
        format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict{lifetime}{secure}")
    }

    pub fn remove(self, secure: bool) -> String {
        format!("{}; Max-Age=0", self.set("", secure).replace(self.lifetime(), ""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(lines: &[&str], secure: bool) -> Option<String> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::COOKIE, line.parse().unwrap());
        }
        Cookie::Session.of(&headers, secure)
    }

    #[test]
    fn one_is_found_and_two_are_none() {
        assert_eq!(session(&["a=b; apikey-session=c; d=e"], false).as_deref(), Some("c"));
        assert_eq!(session(&["a=b", "apikey-session=c"], false).as_deref(), Some("c"));
        assert_eq!(session(&["apikey-session=c; apikey-session=d"], false), None);
        assert_eq!(session(&["apikey-session=c"], true), None, "one that came without TLS");
        assert_eq!(session(&[], false), None);
    }

    #[test]
    fn scripts_and_other_sites_do_not_have_it() {
        let plain = Cookie::Session.set("c", false);
        assert_eq!(plain, "apikey-session=c; Path=/; HttpOnly; SameSite=Strict");
        assert_eq!(
            Cookie::Session.set("c", true),
            "__Host-apikey-session=c; Path=/; HttpOnly; SameSite=Strict; Secure"
        );
        assert!(Cookie::Session.remove(true).ends_with("Secure; Max-Age=0"));
        assert_eq!(Cookie::Language.remove(false).matches("Max-Age").count(), 1);
    }
}
