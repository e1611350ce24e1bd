//! deploy/apache.conf and deploy/apache-auth.lua.

use crate::front::{self, Backends};
use crate::spellings;
use apikey_tests::{Proxy, ProxyFiles, free_address};

const MODULES: [&str; 7] =
    ["mpm_event", "authz_core", "headers", "lua", "proxy", "proxy_http", "setenvif"];

fn start(backends: &Backends) -> Proxy {
    let (files, address) = (ProxyFiles::new(), free_address());
    let script = files.deploy("apache-auth.lua", &[("127.0.0.1:8080", &backends.shim)]);
    let site = files.deploy(
        "apache.conf",
        &[
            ("*:80>", &format!("{address}>")),
            ("127.0.0.1:8000", &backends.service),
            ("/etc/apache2/apache-auth.lua", &script),
        ],
    );
    let modules = MODULES
        .map(|name| format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n"));
    let directory = files.directory();
    let main = files.write(
        "main.conf",
        &format!(
            "{}\nServerRoot {directory}\nServerName test\nPidFile {directory}/pid\nDefaultRuntimeDir {directory}\n\
             Listen {address}\nErrorLog \"|/bin/cat\"\nInclude {site}\n",
            modules.concat()
        ),
    );
    Proxy::start(files, address, &["apache2", "-DFOREGROUND", "-f", &main])
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
