//! What a check answers for a valid key.

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

impl Answer {
    /// For a key with these rights and address rules, asked about from `address` (`None`: unknown).
    pub fn new(auth: Auth, rules: Option<&[Network]>, address: Option<&Network>) -> Self {
        Self { auth, ip_request: address.map(Network::address), ip_valid: ip_valid(rules, address) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
