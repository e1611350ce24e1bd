//! What a check answers for a valid key, and what is decided of it.

use crate::address::ip_valid;
use crate::auth::Auth;
use apikey_format::Network;
use serde::Serialize;
use std::net::IpAddr;

/// Its JSON members stand in this order, which is part of the contract:
/// `{"auth":"event","ip_request":"12.34.56.78","ip_valid":true}`.
#[derive(Debug, Serialize)]
pub struct Answer {
    auth: Auth,
    pub ip_request: Option<IpAddr>,
    pub ip_valid: bool,
}

/// What a decision comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    Ok,
    InvalidKey,
    WrongAddress,
    MissingScope,
    /// None yet: only a slow hash can tell, and there was to be none.
    NeedsHash,
}

impl Reason {
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::InvalidKey => "invalid_key",
            Self::WrongAddress => "wrong_address",
            Self::MissingScope => "missing_scope",
            Self::NeedsHash => "needs_hash",
        }
    }
}

impl Answer {
    /// For a key with these rights and address rules, asked about from `address` (`None`: unknown).
    pub fn new(auth: Auth, rules: Option<&[Network]>, address: Option<&Network>) -> Self {
        Self { auth, ip_request: address.map(Network::address), ip_valid: ip_valid(rules, address) }
    }

    /// Whether the key may do this from here. Without a scope, any valid key from a right address
    /// may.
    pub fn reason(&self, scope: Option<&str>) -> Reason {
        if !self.ip_valid {
            Reason::WrongAddress
        } else if scope.is_some_and(|scope| !self.auth.grants(scope)) {
            Reason::MissingScope
        } else {
            Reason::Ok
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_address_comes_before_a_missing_scope() {
        let level = || Auth::Level("event".to_owned());
        let here = Network::from_inet(&[2, 32, 12, 34, 56, 78]);
        let elsewhere = Network::from_inet(&[2, 32, 12, 34, 56, 79]);
        for (address, scope, reason) in [
            (&here, None, Reason::Ok),
            (&here, Some("event"), Reason::Ok),
            (&here, Some("ticket"), Reason::MissingScope),
            (&elsewhere, None, Reason::WrongAddress),
            (&elsewhere, Some("ticket"), Reason::WrongAddress),
            (&None, Some("event"), Reason::WrongAddress),
        ] {
            let rules = here.as_ref().map(std::slice::from_ref);
            let answer = Answer::new(level(), rules, address.as_ref());
            assert_eq!(answer.reason(scope), reason, "{address:?} {scope:?}");
        }
    }

    #[test]
    fn the_members_stand_in_the_order_of_the_contract() {
        let auth: Option<Auth> = r#"{"ticket": false, "event": true}"#.parse().ok();
        let rule = Network::from_inet(&[2, 24, 12, 34, 56, 0]);
        let from = Network::from_inet(&[2, 32, 12, 34, 56, 78]);
        let json = |answer: Option<Answer>| serde_json::to_string(&answer).unwrap_or_default();
        assert_eq!(
            json(auth.clone().map(|auth| Answer::new(
                auth,
                rule.as_ref().map(std::slice::from_ref),
                from.as_ref()
            ))),
            r#"{"auth":{"ticket":false,"event":true},"ip_request":"12.34.56.78","ip_valid":true}"#
        );
        assert_eq!(
            json(auth.map(|auth| Answer::new(auth, None, None))),
            r#"{"auth":{"ticket":false,"event":true},"ip_request":null,"ip_valid":true}"#
        );
    }
}
