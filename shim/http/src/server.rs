//! Accepting connections, up to a bound, until told to stop.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::{info, warn};

use crate::context::{Context, Handler, Handshake, Limits};
use crate::listen::Listener;
use crate::{handshake, log_target};

/// How long connections that are being made at the end may take: their last packet is on the way.
const LAST_ARRIVALS: Duration = Duration::from_millis(200);

pub struct Server<H> {
    context: Arc<Context<H>>,
    name: &'static str,
}

impl<H: Handler> Server<H> {
    /// `name` is the setting that bounds the connections, for the log.
    pub fn new(handler: Arc<H>, limits: Limits, handshake: Handshake, name: &'static str) -> Self {
        Self { context: Context::new(handler, limits, handshake, name), name }
    }

    /// Serves until `stop` resolves, then lets what is in flight finish.
    pub async fn run(self, listeners: Vec<Listener>, stop: impl Future<Output = ()>) {
        let Self { context, name } = self;
        let (stopping, shutdown_signal) = watch::channel(false);
        let mut accepting = JoinSet::new();
        for listener in listeners {
            accepting.spawn(accept_until(context.clone(), listener, shutdown_signal.clone()));
        }
        stop.await;
        let connections = &context.connections;
        connections.stop();
        info!(target: log_target::SERVER, limit = name, open = connections.open(), "stopping");
        stopping.send_replace(true);
        let all_end = async {
            while accepting.join_next().await.is_some() {}
            connections.all_closed().await;
        };
        if timeout(context.limits.shutdown, all_end).await.is_err() {
            let open = connections.open();
            warn!(
                target: log_target::SERVER,
                limit = name,
                open,
                "connections cut off (--shutdown-timeout)"
            );
        }
    }
}

/// Whoever is connected at the end and not accepted yet is still served, where the socket is ours
/// alone.
async fn accept_until<H: Handler>(
    context: Arc<Context<H>>,
    listener: Listener,
    mut shutdown_signal: watch::Receiver<bool>,
) {
    tokio::select! {
        () = accept(&context, &listener) => {}
        _ = shutdown_signal.wait_for(|stop| *stop) => {}
    }
    if listener.is_ours_alone() {
        let limit = LAST_ARRIVALS.min(context.limits.shutdown / 4);
        let _ = timeout(limit, accept(&context, &listener)).await;
    }
}

/// Accepts until it is dropped, which loses no client.
async fn accept<H: Handler>(context: &Arc<Context<H>>, listener: &Listener) {
    loop {
        let (stream, peer, slot) = listener.accept(&context.connections).await;
        let (context, slot) = (context.clone(), Arc::new(slot));
        tokio::spawn(async move { handshake::serve(&context, stream, peer, &slot).await });
    }
}
