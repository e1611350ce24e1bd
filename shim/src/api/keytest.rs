//! `GET /api/user/keytest/`: is this key valid, and from this address?

use apikey_http::problem::Problem;
use apikey_http::response::{Response, content};

use super::key_request::KeyRequest;
use super::state::App;
use crate::keys::query::Asked;
use crate::keys::refusal::Refusal;

/// Postgres writes the body; it is passed on as it is. A valid key from a wrong address is
/// still a 200, since the route protects nothing.
pub async fn answer(app: &App, request: KeyRequest<'_>) -> Result<Response, Problem> {
    let question = request.question(Asked::Check).map_err(|refusal| app.refused(refusal))?;
    let verdict = app.keys.check(question).await.map_err(|cause| app.unavailable(cause))?;
    let json = verdict.ok_or_else(|| app.refused(Refusal::InvalidKey))?;
    Ok(content("application/json", json))
}
