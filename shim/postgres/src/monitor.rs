//! Runs a connection, and ends it when its server becomes what is not wanted.

use std::future::poll_fn;
use std::task::Poll;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::{Connection, Socket};
use tracing::{debug, warn};

use crate::host::Host;
use crate::log_target;
use crate::session_attrs::{Attributes, Wanted};

/// Returns when the connection closes, or when the server becomes what is not wanted.
pub async fn run<T>(mut connection: Connection<Socket, T>, wanted: Wanted, host: &Host)
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let first = Attributes::reported(&connection);
    poll_fn(|context| {
        loop {
            match connection.poll_message(context) {
                // A notice, or what else the server says of its own accord.
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(Some(Err(error))) => {
                    debug!(target: log_target::DATABASE, %host, %error, "a connection ended");
                    return Poll::Ready(());
                }
                Poll::Ready(None) => return Poll::Ready(()),
                Poll::Pending => break,
            }
        }
        if wanted == Wanted::Any {
            return Poll::Pending;
        }
        let now = Attributes::reported(&connection);
        // Whether it suited in the beginning is asked of the server: a pooler may report what was.
        let objection = now.filter(|_| now != first).and_then(|now| wanted.objection(now));
        match objection {
            Some(objection) => {
                warn!(
                    target: log_target::DATABASE,
                    %host,
                    objection,
                    "leaving a server (target_session_attrs)"
                );
                Poll::Ready(())
            }
            None => Poll::Pending,
        }
    })
    .await;
}
