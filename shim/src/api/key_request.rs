//! What a request says of a key: read once, for the handlers and for the log.

use std::net::IpAddr;

use hyper::{HeaderMap, Uri};

use super::credentials;
use super::state::App;
use super::tenant::Unknown;
use crate::keys::query::{Asked, Question};
use crate::keys::refusal::Refusal;
use apikey_http::peer::Peer;

pub struct KeyRequest<'a> {
    pub key: Option<&'a str>,
    /// The public half of the key, for the log.
    pub prefix: Option<&'a str>,
    /// The address by which the key is checked.
    pub client: Option<IpAddr>,
    tenant: Result<Option<String>, Unknown>,
}

impl<'a> KeyRequest<'a> {
    pub fn read(app: &App, peer: Peer, uri: &Uri, headers: &'a HeaderMap) -> Self {
        let key = app.key_header.key(headers);
        Self {
            key,
            prefix: key.and_then(credentials::prefix),
            client: app.proxies.client(peer, headers),
            tenant: app.tenancy.of(uri, headers),
        }
    }

    /// What to ask the database, where it has to be asked.
    pub fn question(self, asked: Asked) -> Result<Question, Refusal> {
        let key = self.key.ok_or(Refusal::NoKey)?.to_owned();
        let tenant = self.tenant.map_err(|Unknown| Refusal::UnknownHost)?.unwrap_or_default();
        Ok(Question { key, client: self.client, tenant, asked })
    }
}
