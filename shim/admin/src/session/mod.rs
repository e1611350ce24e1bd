//! Somebody who has signed in: a role, its password while the session lasts, and a connection.

pub mod table;

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::db::connection::Connection;
use crate::lang::Notice;

/// Requests that are answered or wait for it. Browsers hold up to six connections each.
pub const AT_ONCE: u32 = 6;
/// Forms whose sending is remembered.
const FORMS: usize = 256;

/// There is no `Debug`, since it has a password.
pub struct Session {
    pub role: String,
    /// The next connection takes it, since each serves for a while only. It is wiped at the end.
    pub password: Zeroizing<String>,
    pub client: IpAddr,
    pub csrf: String,
    /// The requests at once, so that one session leaves places for others.
    pub requests: Semaphore,
    /// One request at a time has it.
    pub connection: tokio::sync::Mutex<Option<Connection>>,
    sent_forms: Mutex<VecDeque<String>>,
    notice: Mutex<Option<Notice>>,
}

impl Session {
    pub fn new(
        role: String,
        password: Zeroizing<String>,
        client: IpAddr,
        csrf: String,
        connection: Connection,
    ) -> Self {
        Self {
            role,
            password,
            client,
            csrf,
            requests: Semaphore::new(AT_ONCE as usize),
            connection: tokio::sync::Mutex::new(Some(connection)),
            sent_forms: Mutex::default(),
            notice: Mutex::default(),
        }
    }

    /// Whether this form is sent for the first time. A second time is a reload, or a double click.
    pub fn is_first(&self, once: &str) -> bool {
        let mut sent = self.sent_forms.lock();
        if sent.iter().any(|known| known == once) {
            return false;
        }
        if sent.len() == FORMS {
            sent.pop_front();
        }
        sent.push_back(once.to_owned());
        true
    }

    /// It came to nothing, and may be sent again.
    pub fn not_sent(&self, once: &str) {
        self.sent_forms.lock().retain(|known| known != once);
    }

    pub fn notify(&self, notice: Notice) {
        *self.notice.lock() = Some(notice);
    }

    pub fn take_notice(&self) -> Option<Notice> {
        self.notice.lock().take()
    }

    /// Closes a connection that is in nobody's hands and would not be used any more.
    pub fn rest(&self, now: Instant, recheck: Duration) {
        let Ok(mut connection) = self.connection.try_lock() else { return };
        if connection.as_ref().is_some_and(|kept| kept.age(now) >= recheck) {
            *connection = None;
        }
    }
}
