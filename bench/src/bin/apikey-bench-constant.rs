//! The least that an HTTP server of the shim's kind can do: hyper, set up as the shim's is, gives
//! one constant answer with the shim's header fields.

#![forbid(unsafe_code)]

use bytes::Bytes;
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Response, header};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::time::Duration;
use tokio::net::TcpListener;

const BODY: &[u8] = br#"{"auth":"event","ip_request":"127.0.0.1","ip_valid":true}"#;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("listening on http://{}", listener.local_addr()?);
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(10))
        .max_header_size(16384)
        .max_buf_size(16384)
        .half_close(true);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let http = http.clone();
        tokio::spawn(async move {
            let answer = service_fn(async |_| Ok::<_, Infallible>(answer()));
            // A connection that its client breaks off is no matter.
            let _ = http.serve_connection(TokioIo::new(stream), answer).await;
        });
    }
}

fn answer() -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(Bytes::from_static(BODY)));
    for (name, value) in
        [(header::CACHE_CONTROL, "no-store"), (header::CONTENT_TYPE, "application/json")]
    {
        answer.headers_mut().insert(name, header::HeaderValue::from_static(value));
    }
    answer
}
