//! What all requests share, and what a client is told when there is nothing good to tell.

use std::sync::Arc;

use apikey_http::cors::Cors;
use apikey_http::problem::Problem;
use apikey_http::response::Response;
use apikey_http::trusted_proxies::TrustedProxies;
use hyper::StatusCode;
use hyper::header::{self, HeaderValue};

use super::credentials::KeyHeader;
use super::tenant::Tenancy;
use crate::keys::client::Client;
use crate::keys::error::Unavailable;
use crate::keys::query::{Asked, Question};
use crate::keys::refusal::Refusal;
use crate::telemetry::database_errors::DatabaseErrors;
use crate::telemetry::metrics::Metrics;

pub struct App {
    pub keys: Arc<Client>,
    pub tenancy: Tenancy,
    pub proxies: TrustedProxies,
    pub key_header: KeyHeader,
    pub cors: Cors,
    /// The `WWW-Authenticate` of every 401 (RFC 9110, 11.6.1).
    pub challenge: HeaderValue,
    pub metrics: Arc<Metrics>,
    pub database_errors: Arc<DatabaseErrors>,
}

/// There is no verdict. Why goes to the log.
pub const UNAVAILABLE: Problem = Problem::new(
    StatusCode::SERVICE_UNAVAILABLE,
    "API keys cannot be checked at the moment. Try again shortly.",
);

/// The same for a client, whatever is wrong with a key.
fn problem(refusal: Refusal) -> Problem {
    let (status, detail) = match refusal {
        Refusal::NoKey | Refusal::UnknownHost | Refusal::InvalidKey => {
            (StatusCode::UNAUTHORIZED, "The request carries no valid API key.")
        }
        Refusal::WrongAddress => {
            (StatusCode::FORBIDDEN, "This API key may not be used from this address.")
        }
        Refusal::MissingScope => {
            (StatusCode::FORBIDDEN, "This API key does not grant what the request needs.")
        }
    };
    Problem::new(status, detail)
}

impl App {
    /// Asks the real statement: it needs the server, the function and the right to call it.
    pub async fn can_check(&self) -> Result<(), Arc<Unavailable>> {
        let tenant = self.tenancy.any().unwrap_or_default().to_owned();
        let nothing = Question { key: String::new(), client: None, tenant, asked: Asked::Check };
        self.keys.check(nothing).await.map(|_| ())
    }

    pub fn refused(&self, refusal: Refusal) -> Problem {
        self.metrics.refused(refusal);
        problem(refusal)
    }

    /// The cause is for the operator, the problem for the client.
    pub fn unavailable(&self, cause: Arc<Unavailable>) -> Problem {
        self.metrics.unavailable(cause.kind());
        self.database_errors.add(cause);
        UNAVAILABLE
    }

    /// What lacks is for whoever set this up, and no secret.
    pub fn not_ready(&self, cause: Arc<Unavailable>) -> Problem {
        let detail = match *cause {
            Unavailable::Lacking(lack) => lack.sentence(),
            _ => UNAVAILABLE.detail,
        };
        Problem { detail, ..self.unavailable(cause) }
    }

    pub fn response(&self, problem: Problem) -> Response {
        let mut response = problem.response();
        if problem.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, self.challenge.clone());
        }
        response
    }
}
