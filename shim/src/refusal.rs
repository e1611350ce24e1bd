//! Why a request is refused, as far as the shim knows.

use apikey_http::problem::Problem;
use hyper::StatusCode;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The request has nothing that could be a key.
    NoKey,
    /// Its host has no tenant.
    UnknownHost,
    /// The database does not tell the shim what is wrong with it.
    InvalidKey,
    WrongAddress,
    MissingScope,
}

impl Refusal {
    pub const ALL: [Self; 5] =
        [Self::NoKey, Self::UnknownHost, Self::InvalidKey, Self::WrongAddress, Self::MissingScope];

    /// In metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoKey => "no_key",
            Self::UnknownHost => "unknown_host",
            Self::InvalidKey => "invalid_key",
            Self::WrongAddress => "wrong_address",
            Self::MissingScope => "missing_scope",
        }
    }

    /// What the client is told: the same, whatever is wrong with a key.
    pub fn problem(self) -> Problem {
        match self {
            Self::NoKey | Self::UnknownHost | Self::InvalidKey => {
                Problem::new(StatusCode::UNAUTHORIZED, "The request carries no valid API key.")
            }
            Self::WrongAddress => Problem::new(
                StatusCode::FORBIDDEN,
                "This API key may not be used from this address.",
            ),
            Self::MissingScope => Problem::new(
                StatusCode::FORBIDDEN,
                "This API key does not grant what the request needs.",
            ),
        }
    }
}
