//! deploy/traefik.yml and deploy/traefik-apikey.yml.

use crate::front::{self, Backends};
use crate::spellings;
use apikey_tests::{Proxy, ProxyFiles, eventually, free_address, from_python_env, program, run};

fn start(backends: &Backends) -> Proxy {
    let (files, address) = (ProxyFiles::new(), free_address());
    let dynamic = files.deploy(
        "traefik-apikey.yml",
        &[("127.0.0.1:8080", &backends.shim), ("127.0.0.1:8000", &backends.service)],
    );
    let settings = files.deploy(
        "traefik.yml",
        &[(":80", &address.to_string()), ("/etc/traefik/traefik-apikey.yml", &dynamic)],
    );
    let traefik = from_python_env("APIKEY_PYTHON_PROXIES", "traefik");
    let proxy = Proxy::start(files, address, &[&traefik, &format!("--configFile={settings}")]);
    // It listens before it has read its routes.
    let url = format!("http://{address}/");
    let status = ["-s", "-o", "/dev/null", "-w", "%{http_code}", &url];
    eventually("it has its routes", || run(&mut program("curl", &status)).stdout != "404");
    proxy
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
