//! The server of the admin page: few people at once, who are bounded like those who ask about keys.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use apikey_http::connection_limit::Slot;
use apikey_http::context::{Handler, Handshake};
use apikey_http::listen;
use apikey_http::peer::Peer;
use apikey_http::problem::Problem;
use apikey_http::response::Response;
use apikey_http::server::Server;
use hyper::Request;
use hyper::body::Incoming;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::interval;

use crate::response::bare;
use crate::routes;
use crate::state::{Admin, Settings};

/// How often sessions that are over are looked for.
const SWEEP: Duration = Duration::from_secs(5);

/// The admin page while it runs.
pub struct Running {
    pub address: SocketAddr,
    pub has_tls: bool,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

impl Running {
    /// Lets what is in flight finish.
    pub async fn stop(self) {
        drop(self.stop);
        let _ = self.serving.await;
    }
}

/// Begins to serve the admin page.
pub fn start(settings: Settings) -> io::Result<Running> {
    let listener = listen::listen(settings.listen)?;
    let address = listener.local_address()?;
    let (stop, stopped) = oneshot::channel::<()>();
    let limits = settings.limits;
    let handshake = Handshake { tls: settings.tls.clone(), ..Handshake::default() };
    let has_tls = handshake.tls.is_some();
    let admin = Arc::new(Admin::new(settings));
    tokio::spawn(sweep(admin.clone()));
    let server = Server::new(admin, limits, handshake, "--admin-listen");
    let serving = tokio::spawn(server.run(vec![listener], async { _ = stopped.await }));
    Ok(Running { address, has_tls, stop, serving })
}

async fn sweep(admin: Arc<Admin>) {
    let mut sweeping = interval(SWEEP);
    loop {
        sweeping.tick().await;
        admin.sweep(Instant::now());
    }
}

impl Handler for Admin {
    async fn respond(
        self: &Arc<Self>,
        peer: Peer,
        slot: &Slot,
        request: Request<Incoming>,
    ) -> Response {
        routes::respond(self.clone(), peer, slot, request).await
    }

    fn refuse(&self, _: Peer, problem: Problem) -> Response {
        bare(problem.status)
    }
}
