//! A connection on which any bytes come: the shim answers in legal HTTP, or closes it. Without a
//! Postgres, so that a key gets as far as the pool, and then a 503.

#![no_main]

#[path = "../../../tests/http/protocol/garbage/answers.rs"]
mod answers;

use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;

use apikey_http::listen;
use apikey_http::server::Server;
use apikey_shim::config::Settings;
use apikey_shim::config::args::Arguments;
use libfuzzer_sys::fuzz_target;
use listenfd::ListenFd;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};

const FLAGS: [&str; 5] = [
    "--listen=127.0.0.1:0",
    "--database=host=127.0.0.1 port=1 user=nobody",
    "--trusted-proxy=127.0.0.1",
    "--cors-origin=https://shop.example",
    "--tenant-by-host=*.example.org=*",
];

struct Shim {
    runtime: Runtime,
    address: SocketAddr,
}

impl Shim {
    fn new() -> Self {
        let arguments = std::iter::once("apikey-shim").chain(FLAGS).map(Into::into);
        let arguments = Arguments::parse(arguments).unwrap_or_else(|error| panic!("{error}"));
        let settings = Settings::new(arguments).unwrap_or_else(|error| panic!("{error}"));
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let address = runtime.block_on(async {
            let listeners =
                listen::open(&settings.listen, settings.socket_mode, ListenFd::empty());
            let listeners = listeners.unwrap_or_else(|error| panic!("{error}"));
            let url = listeners[0].url(false).unwrap();
            let app = Arc::new(settings.app);
            let server = Server::new(app, settings.limits, settings.handshake, "--max-connections");
            tokio::spawn(server.run(listeners, pending()));
            url.strip_prefix("http://").unwrap().parse().unwrap()
        });
        Self { runtime, address }
    }

    fn answer(&self, bytes: &[u8]) -> Vec<u8> {
        self.runtime.block_on(async {
            let mut stream = TcpStream::connect(self.address).await.unwrap();
            let mut received = Vec::new();
            // It may close the connection before it has read everything.
            if stream.write_all(bytes).await.is_ok() {
                let _ = stream.shutdown().await;
            }
            let _ = stream.read_to_end(&mut received).await;
            received
        })
    }
}

thread_local! {
    static SHIM: Shim = Shim::new();
}

fuzz_target!(|bytes: &[u8]| {
    let received = SHIM.with(|shim| shim.answer(bytes));
    let expected = [200, 204, 400, 401, 404, 405, 414, 431, 503];
    if let Err(wrong) = answers::count(&received, &expected) {
        panic!("{wrong}");
    }
});
