//! deploy/haproxy.cfg and deploy/haproxy-auth.lua.

use crate::front::{self, Backends};
use crate::spellings;
use apikey_tests::{Proxy, ProxyFiles, free_address};

fn start(backends: &Backends) -> Proxy {
    start_with(backends, "")
}

/// Without TLS, for which a browser would not take it.
fn start_with_http2(backends: &Backends) -> Proxy {
    start_with(backends, "proto h2 ")
}

fn start_with(backends: &Backends, bind: &str) -> Proxy {
    let (files, address) = (ProxyFiles::new(), free_address());
    let script = files.deploy("haproxy-auth.lua", &[]);
    let settings = files.deploy(
        "haproxy.cfg",
        &[
            ("bind :80 ", &format!("bind {address} {bind}")),
            ("127.0.0.1:8080", &backends.shim),
            ("127.0.0.1:8000", &backends.service),
            ("/etc/haproxy/haproxy-auth.lua", &script),
        ],
    );
    Proxy::start(files, address, &["haproxy", "-db", "-f", &settings])
}

#[test]
fn who_passes_and_who_does_not() {
    front::who_passes_and_who_does_not(start);
}

#[test]
fn what_a_client_forges_does_not_get_through() {
    front::what_a_client_forges_does_not_get_through(start);
}

#[test]
fn nothing_passes_while_keys_cannot_be_checked() {
    front::nothing_passes_while_keys_cannot_be_checked(start);
}

#[test]
fn it_is_the_same_over_http2() {
    front::it_is_the_same_over_http2(start_with_http2);
}

#[test]
fn two_keys_are_none() {
    front::two_keys_are_none(start);
}

#[test]
fn large_bodies_pass() {
    front::large_bodies_pass(start);
}

#[test]
fn a_browser_may_ask_and_nothing_passes_by_that() {
    front::a_browser_may_ask_and_nothing_passes_by_that(start);
}

#[test]
fn a_service_gets_what_is_asked_about() {
    spellings::a_service_gets_what_is_asked_about(start);
}
