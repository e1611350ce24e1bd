//! A connection to Postgres, and what of the extension can be called on it.

use std::ops::Deref;
use std::sync::Arc;

use apikey_postgres::connect::{Connection, Connector};
use apikey_postgres::error::ConnectError;
use deadpool::managed::{Manager, Metrics, RecycleError, RecycleResult};
use parking_lot::Mutex;

use super::members::{self, Members};

/// Opens sessions for a pool.
pub struct Sessions(pub Connector);

pub struct Session {
    connection: Connection,
    members: Mutex<Arc<Members>>,
}

impl Manager for Sessions {
    type Type = Session;
    type Error = ConnectError;

    async fn create(&self) -> Result<Session, ConnectError> {
        let (connection, rows) = self.0.connect(members::FIND).await?;
        Ok(Session { connection, members: Mutex::new(Arc::new(Members::of(&rows))) })
    }

    /// Asks nothing: a connection that is known to be closed is replaced, and one that closes under
    /// a question is asked again.
    async fn recycle(&self, session: &mut Session, _: &Metrics) -> RecycleResult<ConnectError> {
        match session.is_closed() {
            true => Err(RecycleError::message("closed")),
            false => Ok(()),
        }
    }
}

impl Session {
    /// What can be asked here, as it was found last.
    pub fn members(&self) -> Arc<Members> {
        self.members.lock().clone()
    }

    /// Finds it again: somebody may have installed, replaced or granted something meanwhile.
    pub async fn find_members(&self) -> Result<Arc<Members>, tokio_postgres::Error> {
        let found = Arc::new(Members::find(&self.connection).await?);
        *self.members.lock() = found.clone();
        Ok(found)
    }
}

impl Deref for Session {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}
