//! Why a request is refused, as far as the shim knows.

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
}
