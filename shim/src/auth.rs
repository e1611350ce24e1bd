//! `GET /auth`: may this request pass? For proxies that ask before they pass it on. Where the database answered, that
//! is a 200, a 401 or a 403: nginx makes a 500 of anything else.

use apikey_http::peer::Peer;
use apikey_http::problem::Problem;
use apikey_http::response::{Response, no_body};
use hyper::Request;

use crate::decision::Decision;
use crate::refusal::Refusal;
use crate::routes::{App, UNAVAILABLE};
use crate::{identity_headers, scope};

pub async fn answer<B>(app: &App, peer: Peer, request: &Request<B>) -> Result<Response, Problem> {
    let (uri, headers) = (request.uri(), request.headers());
    let key = app.key_header.key(headers).ok_or_else(|| app.refused(Refusal::NoKey))?;
    let tenant = app.tenancy.of(uri, headers);
    let tenant = tenant.map_err(|_| app.refused(Refusal::UnknownHost))?;
    let client = app.proxies.client(peer, headers);
    let scope = scope::wanted(uri, headers);
    let decision = app.database.authorize(key, client, tenant.as_deref(), scope).await;
    let decision = decision.map_err(|cause| app.unavailable(cause))?;
    match decision {
        Decision::Allowed(identity) => {
            let mut response = no_body();
            // Cannot fail, as the tests of it show.
            identity_headers::set(&identity, response.headers_mut()).map_err(|_| UNAVAILABLE)?;
            Ok(response)
        }
        Decision::Refused(refusal) => Err(app.refused(refusal)),
    }
}
