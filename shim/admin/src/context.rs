//! One request and who asks: what pages are made from.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::lang::Texts;
use crate::permissions::Permissions;
use crate::request::Request;
use crate::session::Session;
use crate::state::Admin;

/// What there is of any request.
pub struct RequestContext {
    pub admin: Arc<Admin>,
    pub request: Request,
    pub texts: &'static Texts,
    pub session: Option<Arc<Session>>,
    pub permissions: Option<Permissions>,
    /// What an administrator can run where a right is missing that the role was meant to have.
    pub remedy: Option<String>,
    shows_new_key: AtomicBool,
}

impl RequestContext {
    pub fn new(admin: Arc<Admin>, request: Request, session: Option<Arc<Session>>) -> Self {
        let texts = request.language.texts();
        Self {
            admin,
            request,
            texts,
            session,
            permissions: None,
            remedy: None,
            shows_new_key: AtomicBool::new(false),
        }
    }

    pub fn shows_new_key(&self) -> bool {
        self.shows_new_key.load(Ordering::Relaxed)
    }

    pub fn will_show_new_key(&self) {
        self.shows_new_key.store(true, Ordering::Relaxed);
    }
}

/// What there is of a request of somebody who has signed in.
pub struct Authenticated<'a> {
    pub context: &'a RequestContext,
    pub session: &'a Session,
    pub permissions: &'a Permissions,
}
