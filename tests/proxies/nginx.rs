//! deploy/nginx.conf.

use crate::front::{self, Backends};
use crate::spellings;
use apikey_tests::{Proxy, ProxyFiles, free_address};

fn start(backends: &Backends) -> Proxy {
    start_with(backends, "", &[])
}

/// As a service does that takes large bodies at one place.
fn start_with_larger_bodies(backends: &Backends) -> Proxy {
    let place = "location ~* ^/events {";
    start_with(backends, "", &[(place, &format!("{place} client_max_body_size 2m;"))])
}

/// Without TLS, for which a browser would not take it.
fn start_with_http2(backends: &Backends) -> Proxy {
    start_with(backends, " http2", &[])
}

fn start_with(backends: &Backends, listen: &str, further: &[(&str, &str)]) -> Proxy {
    let (files, address) = (ProxyFiles::new(), free_address());
    let site = files.deploy(
        "nginx.conf",
        &[
            &[
                ("listen 80;", &*format!("listen {address}{listen};")),
                ("127.0.0.1:8080", &backends.shim),
                ("127.0.0.1:8000", &backends.service),
            ],
            further,
        ]
        .concat(),
    );
    let directory = files.directory();
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("{name}_temp_path {directory}/{name};"))
        .concat();
    let main = files.write(
        "main.conf",
        &format!(
            "daemon off; worker_processes 1; pid {directory}/pid; error_log stderr;
             events {{}} http {{ access_log off; {temporary} include {site}; }}"
        ),
    );
    Proxy::start(files, address, &["nginx", "-e", "stderr", "-c", &main])
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
    front::large_bodies_pass(start_with_larger_bodies);
}

#[test]
fn a_browser_may_ask_and_nothing_passes_by_that() {
    front::a_browser_may_ask_and_nothing_passes_by_that(start);
}

#[test]
fn a_service_gets_what_is_asked_about() {
    spellings::a_service_gets_what_is_asked_about(start);
}
