//! An address lies in its own network, and no IPv4 rule lets an IPv6 address in.
#![no_main]

use apikey_core::{Answer, Auth};
use apikey_format::Network;

libfuzzer_sys::fuzz_target!(|stored: (&[u8], &[u8])| {
    let (Some(rule), Some(address)) = (Network::from_inet(stored.0), Network::from_inet(stored.1))
    else {
        return;
    };
    assert!(valid(Some(&[rule]), Some(&rule)));
    assert!(!valid(Some(&[rule]), None) && valid(None, Some(&address)));
    if rule.address().is_ipv4() != address.address().is_ipv4() {
        assert!(!valid(Some(&[rule]), Some(&address)));
    }
});

fn valid(rules: Option<&[Network]>, address: Option<&Network>) -> bool {
    Answer::new(Auth::Level("event".to_owned()), rules, address).ip_valid
}
