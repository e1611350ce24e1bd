//! `GET /auth`: may this request pass? For proxies that ask before they pass it on. Where the
//! database answered, that is a 200, a 401 or a 403: nginx makes a 500 of anything else.

use apikey_http::problem::Problem;
use apikey_http::response::{Response, no_body};

use super::identity_headers;
use super::key_request::KeyRequest;
use super::state::{App, UNAVAILABLE};
use crate::keys::decision::Decision;
use crate::keys::query::Asked;

pub async fn answer(
    app: &App,
    request: KeyRequest<'_>,
    scope: Option<String>,
) -> Result<Response, Problem> {
    let question = request.question(Asked::Authorize { scope });
    let question = question.map_err(|refusal| app.refused(refusal))?;
    let decision = app.keys.authorize(question).await.map_err(|cause| app.unavailable(cause))?;
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
