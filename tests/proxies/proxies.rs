//! The proxies, and how each is started with its file of deploy/.

use apikey_tests::{Proxy, ProxyFiles, eventually, free_address, from_python_env, program, run};
use std::thread;

/// Where a proxy finds the shim and the service behind it.
pub struct Backends {
    pub shim: String,
    pub service: String,
}

pub struct Kind {
    name: &'static str,
    start: fn(&Backends, Variant) -> Proxy,
    /// Without TLS, for which a browser would not take it.
    has_http2: bool,
}

const KINDS: [Kind; 6] = [
    Kind { name: "nginx", start: nginx, has_http2: true },
    Kind { name: "apache", start: apache, has_http2: false },
    Kind { name: "caddy", start: caddy, has_http2: false },
    Kind { name: "envoy", start: envoy, has_http2: true },
    Kind { name: "haproxy", start: haproxy, has_http2: true },
    Kind { name: "traefik", start: traefik, has_http2: false },
];

/// What a test has the file say besides what stands in deploy/.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Variant {
    AsDeployed,
    Http2,
    /// As for a service that takes large bodies at one place.
    LargeBodies,
}

impl Kind {
    pub fn start(&self, backends: &Backends, variant: Variant) -> Proxy {
        (self.start)(backends, variant)
    }
}

/// Tries a behaviour of all proxies at once, and says of which ones it is not.
#[track_caller]
pub fn each(behaviour: impl Fn(&Kind) + Sync) {
    each_of(|_| true, behaviour);
}

/// The same, of those with HTTP/2.
#[track_caller]
pub fn each_with_http2(behaviour: impl Fn(&Kind) + Sync) {
    each_of(|kind| kind.has_http2, behaviour);
}

#[track_caller]
fn each_of(is_meant: impl Fn(&Kind) -> bool, behaviour: impl Fn(&Kind) + Sync) {
    let wanted = std::env::var("PROXY").ok();
    let is_wanted = |kind: &&Kind| wanted.as_ref().is_none_or(|wanted| wanted == kind.name);
    assert!(KINDS.iter().any(|kind| is_wanted(&kind)), "PROXY={wanted:?} is none of them");
    let kinds = KINDS.iter().filter(is_wanted).filter(|kind| is_meant(kind));
    let failed: Vec<_> = thread::scope(|scope| {
        // The thread's name stands in front of what a failed assertion says.
        let behaviour = &behaviour;
        let spawn = |kind: &'static Kind| {
            let thread = thread::Builder::new().name(kind.name.to_owned());
            (kind.name, thread.spawn_scoped(scope, move || behaviour(kind)).unwrap())
        };
        let threads: Vec<_> = kinds.map(spawn).collect();
        let joined = threads.into_iter().map(|(name, thread)| (name, thread.join()));
        joined.filter(|(_, outcome)| outcome.is_err()).map(|(name, _)| name).collect()
    });
    assert!(failed.is_empty(), "it is not so with {}", failed.join(", "));
}

fn nginx(backends: &Backends, variant: Variant) -> Proxy {
    let (files, address) = (ProxyFiles::new(), free_address());
    let http2 = if variant == Variant::Http2 { " http2" } else { "" };
    let place = "location ~* ^/events {";
    let larger = if variant == Variant::LargeBodies { " client_max_body_size 2m;" } else { "" };
    let site = files.deploy(
        "nginx.conf",
        &[
            ("listen 80;", &format!("listen {address}{http2};")),
            ("127.0.0.1:8080", &backends.shim),
            ("127.0.0.1:8000", &backends.service),
            (place, &format!("{place}{larger}")),
        ],
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

const APACHE_MODULES: [&str; 7] =
    ["mpm_event", "authz_core", "headers", "lua", "proxy", "proxy_http", "setenvif"];

fn apache(backends: &Backends, _: Variant) -> Proxy {
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
    let modules = APACHE_MODULES
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

fn caddy(backends: &Backends, _: Variant) -> Proxy {
    let (files, address) = (ProxyFiles::new(), free_address());
    // Its administration would listen on a fixed port.
    let own =
        format!("{{\n\tadmin off\n}}\n\nhttp://:{} {{\n\tbind {}", address.port(), address.ip());
    let settings = files.deploy(
        "Caddyfile",
        &[
            (":80 {", &own),
            ("127.0.0.1:8080", &backends.shim),
            ("127.0.0.1:8000", &backends.service),
        ],
    );
    // Where it keeps its last settings.
    let home = format!("HOME={}", files.directory());
    let run = ["env", &home, "caddy", "run", "--adapter", "caddyfile", "--config", &settings];
    Proxy::start(files, address, &run)
}

fn envoy(backends: &Backends, _: Variant) -> Proxy {
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

fn haproxy(backends: &Backends, variant: Variant) -> Proxy {
    let (files, address) = (ProxyFiles::new(), free_address());
    let http2 = if variant == Variant::Http2 { "proto h2 " } else { "" };
    let script = files.deploy("haproxy-auth.lua", &[]);
    let settings = files.deploy(
        "haproxy.cfg",
        &[
            ("bind :80 ", &format!("bind {address} {http2}")),
            ("127.0.0.1:8080", &backends.shim),
            ("127.0.0.1:8000", &backends.service),
            ("/etc/haproxy/haproxy-auth.lua", &script),
        ],
    );
    Proxy::start(files, address, &["haproxy", "-db", "-f", &settings])
}

fn traefik(backends: &Backends, _: Variant) -> Proxy {
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
