//! The listener of the admin page: a few people at once, each answer within bounded time.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{HttpService, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::error::Elapsed;
use tokio::time::{interval, sleep, timeout};
use tracing::debug;

use super::routes;
use super::{Admin, Settings};
use crate::stream::Stream;

/// Browsers hold up to six each.
const CONNECTIONS: u32 = 128;
/// How often sessions that are over are looked for.
const SWEEP: Duration = Duration::from_secs(5);
/// Of a connection, so that one that does not read its answers costs its place for so long and no longer.
const LIFETIME: Duration = Duration::from_secs(120);
const LAST_ANSWER: Duration = Duration::from_secs(10);

/// The admin page while it runs.
pub struct Running {
    pub address: SocketAddr,
    pub has_tls: bool,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
}

impl Running {
    /// Lets what is in flight finish.
    pub async fn stop(self, patience: Duration) {
        self.stop.send_replace(true);
        let _ = timeout(patience, self.serving).await;
    }
}

pub async fn start(settings: Settings) -> io::Result<Running> {
    let listener = TcpListener::bind(settings.listen).await?;
    let address = listener.local_addr()?;
    let (stop, stopped) = watch::channel(false);
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(settings.header_time)
        .max_header_size(settings.header_bytes)
        .max_buf_size(settings.header_bytes);
    let (header_time, has_tls) = (settings.header_time, settings.tls.is_some());
    let admin = Arc::new(Admin::new(settings));
    let serving = tokio::spawn(run(listener, admin, http, header_time, stopped));
    Ok(Running { address, has_tls, stop, serving })
}

async fn run(
    listener: TcpListener,
    admin: Arc<Admin>,
    http: http1::Builder,
    patience: Duration,
    stopped: watch::Receiver<bool>,
) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS as usize));
    let mut sweeping = interval(SWEEP);
    let mut told = stopped.clone();
    loop {
        let next = async {
            let slot = slots.clone().acquire_owned().await.ok()?;
            Some((slot, accept(&listener).await))
        };
        tokio::select! {
            () = until_stopped(&mut told) => break,
            _ = sweeping.tick() => sweep(&admin),
            Some((slot, (stream, peer))) = next => {
                let _ = stream.set_nodelay(true);
                let (http, admin, stopped) = (http.clone(), admin.clone(), stopped.clone());
                tokio::spawn(serve(http, admin, stream, peer, patience, stopped, slot));
            }
        }
    }
    drop(listener);
    let _ = slots.acquire_many(CONNECTIONS).await;
}

async fn serve(
    http: http1::Builder,
    admin: Arc<Admin>,
    tcp: TcpStream,
    peer: SocketAddr,
    patience: Duration,
    mut stopped: watch::Receiver<bool>,
    slot: OwnedSemaphorePermit,
) {
    let stream = match timeout(patience, open(&admin, tcp)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return debug!(%error, "a connection to the admin page is not opened"),
        Err(_) => return debug!("a connection to the admin page takes too long to open"),
    };
    let service = service_fn(|request: Request<Incoming>| {
        let admin = admin.clone();
        async move { Ok::<_, Infallible>(routes::respond(admin, peer.ip(), request, patience).await) }
    });
    let connection = http.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let outcome = tokio::select! {
        outcome = connection.as_mut() => Ok(outcome),
        () = until_stopped(&mut stopped) => ending(connection).await,
        () = sleep(LIFETIME) => ending(connection).await,
    };
    match outcome {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!(%error, "a connection to the admin page ends"),
        Err(_) => debug!("a connection to the admin page is cut off"),
    }
    drop(slot);
}

async fn open(admin: &Admin, tcp: TcpStream) -> io::Result<Stream> {
    Ok(match &admin.tls {
        Some(tls) => Stream::Tls(Box::new(tls.http1_acceptor().accept(tcp).await?)),
        None => Stream::Tcp(tcp),
    })
}

/// With the answer that is on its way, if its reader hurries.
async fn ending<C>(
    mut connection: Pin<&mut http1::Connection<TokioIo<Stream>, C>>,
) -> Result<hyper::Result<()>, Elapsed>
where
    C: HttpService<Incoming, ResBody = Full<Bytes>>,
    C::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    connection.as_mut().graceful_shutdown();
    timeout(LAST_ANSWER, connection).await
}

async fn until_stopped(told: &mut watch::Receiver<bool>) {
    let _ = told.wait_for(|stop| *stop).await;
}

async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            // Of one client, or out of descriptors, of which the server proper tells.
            Err(_) => sleep(Duration::from_millis(100)).await,
        }
    }
}

fn sweep(admin: &Admin) {
    let now = Instant::now();
    for session in admin.sessions.sweep(now) {
        session.rest(now);
    }
}
