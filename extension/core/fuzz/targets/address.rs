//! An address lies in its own network, and no IPv4 rule lets an IPv6 address in.
#![no_main]

use apikey_core::{Network, ip_valid};

libfuzzer_sys::fuzz_target!(|texts: (&str, &str)| {
    let (Ok(rule), Ok(address)) = (texts.0.parse::<Network>(), texts.1.parse::<Network>()) else {
        return;
    };
    assert!(ip_valid(Some(&[rule]), Some(&rule)));
    assert!(!ip_valid(Some(&[rule]), None) && ip_valid(None, Some(&address)));
    if rule.address().is_ipv4() != address.address().is_ipv4() {
        assert!(!ip_valid(Some(&[rule]), Some(&address)));
    }
});
