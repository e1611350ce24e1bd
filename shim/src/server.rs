//! Accepting connections, up to a bound, until told to stop.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::TokioTimer;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use crate::connection;
use crate::routes::App;

#[derive(Clone, Copy, Debug)]
pub struct ServerLimits {
    pub connections: u32,
    pub header_bytes: usize,
    pub header_time: Duration,
    pub shutdown: Duration,
}

/// Serves until `stop` resolves, then lets what is in flight finish.
pub async fn run(
    listener: TcpListener,
    app: Arc<App>,
    limits: ServerLimits,
    stop: impl Future<Output = ()>,
) {
    let http = Arc::new(protocol(&limits));
    let slots = Arc::new(Semaphore::new(limits.connections as usize));
    let (stopping, _) = watch::channel(false);

    tokio::pin!(stop);
    loop {
        // The slot comes first: beyond the bound, clients wait in the kernel's queue.
        let next = async {
            let slot = slots.clone().acquire_owned().await.ok()?;
            Some((slot, accept(&listener).await))
        };
        let (slot, stream) = tokio::select! {
            () = &mut stop => break,
            next = next => match next {
                Some(next) => next,
                None => break,
            },
        };
        let (http, app, mut told) = (http.clone(), app.clone(), stopping.subscribe());
        tokio::spawn(async move {
            let told = async move {
                let _ = told.wait_for(|stop| *stop).await;
            };
            if let Ok(peer) = stream.peer_addr() {
                // An answer is one write; waiting to fill a packet would only delay it.
                let _ = stream.set_nodelay(true);
                connection::serve(&http, app, stream, peer.ip(), limits.header_time, told).await;
            }
            drop(slot);
        });
    }

    drop(listener);
    stopping.send_replace(true);
    let open = limits.connections as usize - slots.available_permits();
    info!(open, "stopping");
    // All slots free again means that every connection has ended.
    let idle = slots.acquire_many(limits.connections);
    if timeout(limits.shutdown, idle).await.is_err() {
        let open = limits.connections as usize - slots.available_permits();
        warn!(open, "connections cut off (--shutdown-timeout)");
    }
}

fn protocol(limits: &ServerLimits) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        // From the first moment of a connection, and from the end of each answer.
        .header_read_timeout(limits.header_time)
        .max_header_size(limits.header_bytes)
        .max_buf_size(limits.header_bytes)
        // A client may close its sending side and still wait for the answer.
        .half_close(true);
    http
}

/// Errors of accept(2) are about one client, or pass: they never end the server.
async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) if is_of_one_client(&error) => {}
            Err(error) => {
                // Out of descriptors or memory: the waiting client stays ready, so without a
                // pause this would spin.
                warn!(%error, "cannot accept connections");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

fn is_of_one_client(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset)
}
