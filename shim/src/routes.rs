//! Which request gets which answer.

use std::sync::Arc;

use apikey_http::connection_limit::Slot;
use apikey_http::context::Handler;
use apikey_http::cors::Cors;
use apikey_http::host;
use apikey_http::peer::Peer;
use apikey_http::problem::Problem;
use apikey_http::response::{Response, content, no_content};
use apikey_http::trusted_proxies::TrustedProxies;
use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::{HeaderMap, Method, Request, StatusCode};

use crate::auth;
use crate::complaints::Complaints;
use crate::credentials::KeyHeader;
use crate::database::Database;
use crate::keytest;
use crate::metrics::Metrics;
use crate::observed::Observed;
use crate::refusal::Refusal;
use crate::tenant::Tenancy;
use crate::unavailable::Unavailable;

/// There is no verdict. Why goes to the log.
pub const UNAVAILABLE: Problem = Problem::new(
    StatusCode::SERVICE_UNAVAILABLE,
    "API keys cannot be checked at the moment. Try again shortly.",
);

/// What all connections share.
pub struct App {
    pub database: Arc<Database>,
    pub tenancy: Tenancy,
    pub proxies: TrustedProxies,
    pub key_header: KeyHeader,
    pub cors: Cors,
    /// The `WWW-Authenticate` of every 401 (RFC 9110, 11.6.1).
    pub challenge: HeaderValue,
    pub metrics: Metrics,
    pub complaints: Arc<Complaints>,
}

#[derive(Clone, Copy, Debug)]
enum Route {
    Keytest,
    Auth,
    Live,
    Ready,
    Description,
}

/// Of all this, for programs: OpenAPI 3.1.
const DESCRIPTION: &str = include_str!("../openapi.json");

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
            true => App::refuse(self, peer, UNAVAILABLE),
            false => App::respond(self, peer, &request).await,
        }
    }

    fn refuse(&self, peer: Peer, problem: Problem) -> Response {
        App::refuse(self, peer, problem)
    }

    fn connected(&self) -> impl Send {
        self.metrics.connection()
    }
}

impl App {
    /// The body of the request, if any, is not looked at; hyper closes the connection rather
    /// than read much of it.
    pub async fn respond<B>(&self, peer: Peer, request: &Request<B>) -> Response {
        let route = match host::is_well_named(request) {
            true => Route::of(request.uri().path()),
            false => Err(Problem::BAD_REQUEST),
        };
        let name = match route {
            Ok(route) => route.name(),
            Err(Problem::BAD_REQUEST) => "none",
            Err(_) => "other",
        };
        let observed =
            Observed::begin(self, peer, name, method_name(request.method()), request.headers());
        let preflight = Cors::is_preflight(request);
        let outcome = match route {
            Err(problem) => Err(problem),
            // Not where a proxy asks: a 204 would let the browser's question, which has no key, pass.
            Ok(route) if preflight && !matches!(route, Route::Auth) => Ok(no_content()),
            Ok(route) if [Method::GET, Method::HEAD].contains(request.method()) => {
                self.ask(route, peer, request).await
            }
            Ok(_) => Err(Problem::METHOD_NOT_ALLOWED),
        };
        let mut response = outcome.unwrap_or_else(|problem| self.problem(problem));
        let origin = self.cors.allowed(request.headers());
        self.cors.mark(origin, preflight, &mut response);
        observed.answered(&mut response);
        response
    }

    /// The answer to something that is no request, and so has no origin and no method.
    pub fn refuse(&self, peer: Peer, problem: Problem) -> Response {
        let (none, headers) = ("none", HeaderMap::new());
        let observed = Observed::begin(self, peer, none, none, &headers);
        let mut response = self.problem(problem);
        self.cors.mark(None, false, &mut response);
        observed.answered(&mut response);
        response
    }

    /// Asks the real statement: it needs the server, the function and the right to call it.
    pub async fn can_check(&self) -> Result<(), Arc<Unavailable>> {
        self.database.check("", None, self.tenancy.any()).await.map(|_| ())
    }

    async fn ask<B>(
        &self,
        route: Route,
        peer: Peer,
        request: &Request<B>,
    ) -> Result<Response, Problem> {
        match route {
            Route::Keytest => keytest::answer(self, peer, request).await,
            Route::Auth => auth::answer(self, peer, request).await,
            Route::Live => Ok(content("application/json", r#"{"status":"live"}"#)),
            Route::Description => Ok(content("application/json", DESCRIPTION)),
            Route::Ready => {
                self.can_check().await.map_err(|cause| self.not_ready(cause))?;
                Ok(content("application/json", r#"{"status":"ready"}"#))
            }
        }
    }

    pub fn refused(&self, refusal: Refusal) -> Problem {
        self.metrics.refused(refusal);
        refusal.problem()
    }

    /// The cause is for the operator, the problem for the client.
    pub fn unavailable(&self, cause: Arc<Unavailable>) -> Problem {
        self.metrics.unavailable(cause.kind());
        self.complaints.add(cause);
        UNAVAILABLE
    }

    /// What lacks is for whoever set this up, and no secret.
    fn not_ready(&self, cause: Arc<Unavailable>) -> Problem {
        let detail = match *cause {
            Unavailable::Lacking(lack) => lack.sentence(),
            _ => UNAVAILABLE.detail,
        };
        Problem { detail, ..self.unavailable(cause) }
    }

    fn problem(&self, problem: Problem) -> Response {
        let mut response = problem.response();
        if problem.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, self.challenge.clone());
        }
        response
    }
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
