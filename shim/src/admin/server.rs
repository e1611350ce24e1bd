//! The listener of the admin page: a few people at once, each answer within bounded time. Who is slow or silent is
//! treated as on the ports for keys.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::server::conn::http1;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{interval, timeout};
use tracing::debug;

use crate::admin::response::bare;
use crate::admin::routes;
use crate::admin::state::{Admin, Settings};
use crate::connection::converse;
use crate::listener::Listener;
use crate::peer::Peer;
use crate::places::{Place, Places};
use crate::problem::Problem;
use crate::server::{ServerLimits, http1};
use crate::server_tls::ServerTls;
use crate::socket::Socket;
use crate::stream::Stream;

/// How often sessions that are over are looked for.
const SWEEP: Duration = Duration::from_secs(5);

/// The admin page while it runs.
pub struct Running {
    pub address: SocketAddr,
    pub has_tls: bool,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
}

impl Running {
    /// Lets what is in flight finish.
    pub async fn stop(self, timeout: Duration) {
        self.stop.send_replace(true);
        let _ = tokio::time::timeout(timeout, self.serving).await;
    }
}

struct Server {
    admin: Arc<Admin>,
    tls: Option<Arc<ServerTls>>,
    limits: ServerLimits,
    http: http1::Builder,
    places: Arc<Places>,
}

pub async fn start(settings: Settings) -> io::Result<Running> {
    let listener = TcpListener::bind(settings.listen).await?;
    let address = listener.local_addr()?;
    let (stop, stopped) = watch::channel(false);
    let (limits, tls) = (settings.limits, settings.tls.clone());
    let has_tls = tls.is_some();
    let server = Server {
        admin: Arc::new(Admin::new(settings)),
        tls,
        limits,
        http: http1(&limits),
        places: limits.places("--admin-listen"),
    };
    let serving = tokio::spawn(run(listener.into(), Arc::new(server), stopped));
    Ok(Running { address, has_tls, stop, serving })
}

async fn run(listener: Listener, server: Arc<Server>, mut stopped: watch::Receiver<bool>) {
    let mut sweeping = interval(SWEEP);
    loop {
        tokio::select! {
            _ = stopped.wait_for(|stop| *stop) => break,
            _ = sweeping.tick() => server.admin.sweep(Instant::now()),
            (stream, peer, place) = listener.admit(&server.places) => {
                let server = server.clone();
                tokio::spawn(async move { serve(&server, stream, peer, &place).await });
            }
        }
    }
    drop(listener);
    server.places.stop();
    server.places.empty().await;
}

async fn serve(server: &Server, stream: Stream, peer: Peer, place: &Place) {
    let opened = tokio::select! {
        biased;
        opened = timeout(server.limits.header_time, open(server, stream)) => opened,
        () = place.must_end() => return,
    };
    let stream = match opened {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return debug!(%error, "a connection to the admin page is not opened"),
        Err(_) => return debug!("a connection to the admin page takes too long to open"),
    };
    let respond = |request| routes::respond(server.admin.clone(), peer, place, request);
    let socket = Socket::new(stream, server.limits.header_time);
    let refuse = |problem: Problem| bare(problem.answer().status());
    converse(&server.http, &server.limits, socket, place, respond, refuse).await;
}

async fn open(server: &Server, stream: Stream) -> io::Result<Stream> {
    Ok(match (stream, &server.tls) {
        (Stream::Tcp(tcp), Some(tls)) => {
            Stream::Tls(Box::new(tls.http1_acceptor().accept(tcp).await?))
        }
        (stream, _) => stream,
    })
}
