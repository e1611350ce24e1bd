//! Which addresses a key may be used from.

use apikey_format::Network;

/// Whether a key may be used from `address` (`None`: unknown). No rules: from anywhere, even
/// unknown.
pub fn ip_valid(rules: Option<&[Network]>, address: Option<&Network>) -> bool {
    match (rules, address) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(rules), Some(from)) => rules.iter().any(|rule| rule.contains(from.address())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        Network::parse(text).unwrap_or_else(|| panic!("{text} is no network"))
    }

    fn valid(rules: &[&str], address: &str) -> bool {
        let rules: Vec<_> = rules.iter().map(|rule| network(rule)).collect();
        ip_valid(Some(&rules), Some(&network(address)))
    }

    #[test]
    fn one_of_the_rules_is_enough() {
        assert!(valid(&["192.0.2.1", "2001:db8::/32"], "2001:db8:1::5"));
        assert!(!valid(&["192.0.2.1", "2001:db8::/32"], "2001:db9::5"));
        assert!(!valid(&[], "12.34.56.78"), "an empty list lets nobody in");
    }

    #[test]
    fn without_a_rule_anyone_and_with_one_nobody_unknown() {
        assert!(ip_valid(None, None));
        assert!(ip_valid(None, Some(&network("12.34.56.78"))));
        assert!(!ip_valid(Some(&[network("0.0.0.0/0"), network("::/0")]), None));
    }
}
