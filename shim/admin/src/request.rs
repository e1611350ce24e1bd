//! What a request says. All of it is read at once: these pages are for people, who ask seldom.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::{self, HeaderName};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method};

use crate::cookies::Cookie;
use crate::error::Error;
use crate::form::Form;
use crate::hosts;
use crate::lang::Language;
use crate::link;
use crate::state::Admin;
use apikey_http::peer::Peer;

/// The largest form has 64 networks, 64 scopes and some lines.
const LARGEST_BODY: usize = 64 * 1024;

/// The address of a peer without one. There is none: the page listens on TCP.
const NOWHERE: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// There is no `Debug`, since forms have passwords and keys.
pub struct Request {
    pub method: Method,
    pub path: String,
    pub query: Form,
    pub form: Form,
    pub client: IpAddr,
    /// The name that the browser has for us, if it is one.
    pub host: Option<String>,
    /// The browser has TLS.
    pub secure: bool,
    pub language: Language,
    pub session: Option<String>,
    pub sign_in: Option<String>,
    pub from_another_site: bool,
    uri: String,
}

impl Request {
    /// The form comes later.
    pub fn new(head: &Parts, peer: Peer, admin: &Admin) -> Self {
        let headers = &head.headers;
        let proxies = &admin.proxies;
        let secure = admin.tls.is_some() || proxies.is_https(peer, headers);
        let chosen = Cookie::Language.of(headers, secure).and_then(|name| Language::named(&name));
        let client = proxies.client(peer, headers).or(peer.address());
        Self {
            path: head.uri.path().to_owned(),
            query: Form::parse(head.uri.query().unwrap_or_default().as_bytes()),
            form: Form::default(),
            client: client.unwrap_or(NOWHERE).to_canonical(),
            host: hosts::of(head),
            secure,
            language: chosen.unwrap_or_else(|| Language::preferred(headers)),
            session: Cookie::Session.of(headers, secure),
            sign_in: Cookie::SignIn.of(headers, secure),
            from_another_site: is_from_another_site(headers),
            uri: head.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
            method: head.method.clone(),
        }
    }

    pub async fn read_form(
        &mut self,
        headers: &HeaderMap,
        body: Incoming,
        timeout: Duration,
    ) -> Result<(), Error> {
        if self.method == Method::POST {
            let form = tokio::time::timeout(timeout, read_form(headers, body)).await;
            self.form = form.unwrap_or(Err(Error::SlowClient))?;
        }
        match self.form.has_nul() || self.query.has_nul() {
            true => Err(Error::BadRequest),
            false => Ok(()),
        }
    }

    /// The address to come back to. The one that a form was sent to may have no page to look at.
    pub fn here(&self) -> &str {
        let shown = [Method::GET, Method::HEAD].contains(&self.method);
        link::back(if shown { &self.uri } else { &self.path })
    }
}

async fn read_form(headers: &HeaderMap, body: Incoming) -> Result<Form, Error> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let kind = kind.and_then(|value| value.split(';').next()).unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(Error::BadRequest);
    }
    match Limited::new(body, LARGEST_BODY).collect().await {
        Ok(body) => Ok(Form::parse(&body.to_bytes())),
        Err(error) if error.is::<LengthLimitError>() => Err(Error::TooLarge),
        Err(_) => Err(Error::BadRequest),
    }
}

/// Browsers say it themselves (W3C, Fetch Metadata); older ones say nothing.
fn is_from_another_site(headers: &HeaderMap) -> bool {
    let site = headers.get(SEC_FETCH_SITE);
    site.is_some_and(|site| site != "same-origin" && site != "none")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_sites_are_told_apart() {
        let from = |site: Option<&str>| {
            let mut headers = HeaderMap::new();
            if let Some(site) = site {
                headers.insert(SEC_FETCH_SITE, site.parse().unwrap());
            }
            is_from_another_site(&headers)
        };
        assert!(!from(None) && !from(Some("same-origin")) && !from(Some("none")));
        assert!(from(Some("cross-site")) && from(Some("same-site")));
    }
}
