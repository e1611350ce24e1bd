//! deploy/envoy.yaml.

use crate::front::{self, Backends};
use crate::spellings;
use apikey_tests::{Proxy, ProxyFiles, free_address, from_python_env};

fn start(backends: &Backends) -> Proxy {
    let (files, address) = (ProxyFiles::new(), free_address());
    let port = |address: &str| address.rsplit_once(':').unwrap().1.to_owned();
    let settings = files.deploy(
        "envoy.yaml",
        &[
            ("0.0.0.0, port_value: 80 }", &format!("127.0.0.1, port_value: {} }}", address.port())),
            ("port_value: 8080", &format!("port_value: {}", port(&backends.shim))),
            ("port_value: 8000", &format!("port_value: {}", port(&backends.service))),
        ],
    );
    let program = from_python_env("APIKEY_PYTHON_PROXIES", "../envoy/_bin/envoy");
    // Several run beside each other in the tests.
    let alone = ["--use-dynamic-base-id", "--concurrency", "1"];
    let run = [&[&*program, "-c", &settings], &alone[..]].concat();
    Proxy::start(files, address, &run)
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
    front::it_is_the_same_over_http2(start);
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
