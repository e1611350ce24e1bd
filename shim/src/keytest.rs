//! `GET /api/user/keytest/`: is this key valid, and from this address?

use apikey_http::peer::Peer;
use apikey_http::problem::Problem;
use apikey_http::response::{Response, content};
use hyper::Request;

use crate::refusal::Refusal;
use crate::routes::App;

/// Postgres writes the body; it is passed on as it is. A valid key from a wrong address is
/// still a 200, since the route protects nothing.
pub async fn answer<B>(app: &App, peer: Peer, request: &Request<B>) -> Result<Response, Problem> {
    let headers = request.headers();
    let key = app.key_header.key(headers).ok_or_else(|| app.refused(Refusal::NoKey))?;
    let tenant = app.tenancy.of(request.uri(), headers);
    let tenant = tenant.map_err(|_| app.refused(Refusal::UnknownHost))?;
    let client = app.proxies.client(peer, headers);
    let verdict = app.database.check(key, client, tenant.as_deref()).await;
    let verdict = verdict.map_err(|cause| app.unavailable(cause))?;
    let json = verdict.ok_or_else(|| app.refused(Refusal::InvalidKey))?;
    Ok(content("application/json", json))
}
