//! Which request gets which response.

use std::sync::Arc;

use apikey_http::connection_limit::Slot;
use apikey_http::context::Handler;
use apikey_http::cors::Cors;
use apikey_http::host;
use apikey_http::peer::Peer;
use apikey_http::problem::Problem;
use apikey_http::request_id::RequestId;
use apikey_http::response::{Response, content, no_content};
use hyper::body::Incoming;
use hyper::{HeaderMap, Method, Request, Uri};

use super::key_request::KeyRequest;
use super::state::{App, UNAVAILABLE};
use super::{auth, keytest, scope};
use crate::telemetry::request_log::{self, RequestLog};

#[derive(Clone, Copy, Debug)]
enum Route {
    Keytest,
    Auth,
    Live,
    Ready,
    Description,
}

/// The description of the API for programs: OpenAPI 3.1.
const DESCRIPTION: &str = include_str!("../../openapi.json");

impl Route {
    fn of(path: &str) -> Result<Self, Problem> {
        match path {
            // Clients' published examples use both prefixes, and both ends.
            "/api/user/keytest"
            | "/api/user/keytest/"
            | "/admin/api/user/keytest"
            | "/admin/api/user/keytest/" => Ok(Self::Keytest),
            "/auth" => Ok(Self::Auth),
            "/live" => Ok(Self::Live),
            "/ready" => Ok(Self::Ready),
            "/openapi.json" => Ok(Self::Description),
            _ => Err(Problem::NOT_FOUND),
        }
    }

    /// In metrics and logs.
    fn name(self) -> &'static str {
        match self {
            Self::Keytest => "keytest",
            Self::Auth => "auth",
            Self::Live => "live",
            Self::Ready => "ready",
            Self::Description => "openapi",
        }
    }
}

/// In metrics and logs. Any token may be a method (RFC 9110, 9.1).
fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

impl Handler for App {
    async fn respond(
        self: &Arc<Self>,
        peer: Peer,
        slot: &Slot,
        request: Request<Incoming>,
    ) -> Response {
        let _answering = slot.answering();
        match slot.is_rejected() {
            true => self.refuse(peer, UNAVAILABLE),
            false => respond(self, peer, &request).await,
        }
    }

    /// The response to something that is no request, and so has no origin and no method.
    fn refuse(&self, peer: Peer, problem: Problem) -> Response {
        let headers = HeaderMap::new();
        let request = KeyRequest::read(self, peer, &Uri::default(), &headers);
        let log = begin(self, peer, "none", "none", &headers, &request);
        let mut response = self.response(problem);
        self.cors.mark(None, false, &mut response);
        log.answered(&mut response);
        response
    }

    fn connected(&self) -> impl Send {
        self.metrics.connection()
    }
}

/// Ignores the body of a request, if there is one; hyper closes the connection rather than read
/// much of it.
async fn respond<B>(app: &App, peer: Peer, request: &Request<B>) -> Response {
    let route = match host::is_well_named(request) {
        true => Route::of(request.uri().path()),
        false => Err(Problem::BAD_REQUEST),
    };
    let name = match route {
        Ok(route) => route.name(),
        Err(Problem::BAD_REQUEST) => "none",
        Err(_) => "other",
    };
    let (uri, headers) = (request.uri(), request.headers());
    let key_request = KeyRequest::read(app, peer, uri, headers);
    let log = begin(app, peer, name, method_name(request.method()), headers, &key_request);
    let preflight = Cors::is_preflight(request);
    let outcome = match route {
        Err(problem) => Err(problem),
        // Not where a proxy asks: a 204 would let the browser's question, which has no key, pass.
        Ok(route) if preflight && !matches!(route, Route::Auth) => Ok(no_content()),
        Ok(route) if [Method::GET, Method::HEAD].contains(request.method()) => match route {
            Route::Keytest => keytest::answer(app, key_request).await,
            Route::Auth => auth::answer(app, key_request, scope::wanted(uri, headers)).await,
            Route::Live => Ok(content("application/json", r#"{"status":"live"}"#)),
            Route::Description => Ok(content("application/json", DESCRIPTION)),
            Route::Ready => match app.can_check().await {
                Ok(()) => Ok(content("application/json", r#"{"status":"ready"}"#)),
                Err(cause) => Err(app.not_ready(cause)),
            },
        },
        Ok(_) => Err(Problem::METHOD_NOT_ALLOWED),
    };
    let mut response = outcome.unwrap_or_else(|problem| app.response(problem));
    app.cors.mark(app.cors.allowed(headers), preflight, &mut response);
    log.answered(&mut response);
    response
}

fn begin<'a>(
    app: &'a App,
    peer: Peer,
    route: &'static str,
    method: &'static str,
    headers: &HeaderMap,
    &KeyRequest { client, prefix, .. }: &KeyRequest<'a>,
) -> RequestLog<'a> {
    let id = RequestId::of(headers);
    RequestLog::begin(
        &app.metrics,
        request_log::Request { id, route, method, peer, client, prefix },
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use serde_json::Value;

    #[test]
    fn the_description_is_of_this_version_and_its_routes() {
        let description: Value = serde_json::from_str(DESCRIPTION).unwrap();
        assert_eq!(description["info"]["version"], env!("CARGO_PKG_VERSION"));
        let paths = description["paths"].as_object().unwrap();
        assert!(paths.keys().all(|path| Route::of(path).is_ok()));
        for path in ["/api/user/keytest/", "/admin/api/user/keytest/", "/auth", "/openapi.json"] {
            assert!(paths.contains_key(path), "{path}");
        }
        // Generators make a method of what stands here, and know it by its name.
        let operations =
            paths.values().flat_map(|path| ["get", "head"].map(|method| &path[method]));
        let names: Vec<_> = operations.map(|it| it["operationId"].as_str().unwrap()).collect();
        let distinct: BTreeSet<_> = names.iter().collect();
        assert_eq!((names.len(), distinct.len()), (2 * paths.len(), 2 * paths.len()));
    }
}
