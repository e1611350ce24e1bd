//! Which request gets which answer, and what has to be true before.

use std::sync::Arc;
use std::time::Instant;

use hyper::Method;
use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use maud::html;
use tokio::time::timeout;
use tracing::debug;

use crate::context::{Authenticated, RequestContext};
use crate::cookies::Cookie;
use crate::db::connection::Connection;
use crate::db::membership;
use crate::error::Error;
use crate::handlers::{actions, add, audit, edit, key, list, sign_in, test};
use crate::lang::Language;
use crate::link;
use crate::log_target;
use crate::login::Refused;
use crate::permissions::Permissions;
use crate::request::Request;
use crate::response::{Response, asset, page, see_other, with_cookie};
use crate::session::Session;
use crate::state::Admin;
use crate::token;
use crate::views;
use crate::views::problem;
use crate::views::sign_in::Ended;
use apikey_http::connection_limit::Slot;
use apikey_http::peer::Peer;

pub async fn respond(
    admin: Arc<Admin>,
    peer: Peer,
    slot: &Slot,
    request: hyper::Request<Incoming>,
) -> Response {
    let started = Instant::now();
    let (head, body) = request.into_parts();
    let mut request = Request::new(&head, peer, &admin);
    let admitted = admit(&admin, slot, &request);
    let readable = match admitted {
        Ok(()) => request.read_form(&head.headers, body, admin.header_time).await,
        Err(error) => Err(error),
    };
    // From here on the client waits for us.
    let _answering = slot.answering();
    let method = request.method.clone();
    let session = request.session.as_deref().filter(|_| admitted.is_ok());
    let session = session.and_then(|id| admin.sessions.find(id, started));
    let mut context = RequestContext::new(admin, request, session);
    let texts = context.texts;
    // A task of its own finishes what was begun, even if the browser leaves. A key that was made,
    // and shown to nobody, is then at least in the list.
    let answering = tokio::spawn(async move {
        let outcome = match readable {
            Ok(()) => route(&mut context).await,
            Err(error) => Err(error),
        };
        outcome.unwrap_or_else(|error| problem::show(&context, error))
    });
    let mut response = match answering.await {
        Ok(response) => response,
        Err(error) => {
            let error = Error::internal(&error);
            page(error.status(), html! { p { (error.sentence(texts)) } })
        }
    };
    if slot.is_ending() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    // The path is left out: somebody may have put a key into it.
    debug!(target: log_target::ADMIN, %peer, %method, status = response.status().as_u16(), elapsed = ?started.elapsed(), "admin page");
    response
}

/// Whether there is room for it, and it is meant for this page.
fn admit(admin: &Admin, slot: &Slot, request: &Request) -> Result<(), Error> {
    match &request.host {
        _ if slot.is_rejected() => Err(Error::Crowded),
        None => Err(Error::BadRequest),
        Some(host) if !admin.hosts.include(host) => Err(Error::Misdirected),
        Some(_) => Ok(()),
    }
}

async fn route(context: &mut RequestContext) -> Result<Response, Error> {
    let path = context.request.path.clone();
    let is_post = context.request.method == Method::POST;
    if !is_post && ![Method::GET, Method::HEAD].contains(&context.request.method) {
        return Err(Error::MethodNotAllowed);
    }
    if let Some(asset) = asset(&path) {
        return if is_post { Err(Error::MethodNotAllowed) } else { Ok(asset) };
    }
    if is_post && context.request.from_another_site {
        return Err(Error::Forged);
    }
    match (path.as_str(), is_post) {
        ("/sign-in", false) if context.session.is_some() => Ok(see_other("/keys")),
        ("/sign-in", false) => {
            let cookie = sign_in::with_token(context)?;
            let response = views::sign_in::form(context);
            Ok(match cookie {
                Some(cookie) => with_cookie(response, &cookie),
                None => response,
            })
        }
        ("/sign-in", true) => {
            has_token(context, context.request.sign_in.as_deref())?;
            // Whoever signs in is nobody yet, whatever session the browser has.
            context.session = None;
            Ok(sign_in::sign_in(context).await)
        }
        ("/language", true) if context.session.is_none() => {
            has_token(context, context.request.sign_in.as_deref())?;
            language(context)
        }
        _ => {
            let Some(session) = context.session.clone() else {
                let ended = is_post || context.request.session.is_some();
                return Ok(sign_in::again(context, ended.then_some(Ended::Over)));
            };
            if is_post {
                has_token(context, Some(&session.csrf))?;
            }
            match (path.as_str(), is_post) {
                ("/", false) => Ok(see_other("/keys")),
                ("/sign-out", true) => Ok(sign_in::sign_out(context)),
                ("/language", true) => language(context),
                _ => with_connection(context, &session).await,
            }
        }
    }
}

fn has_token(context: &RequestContext, expected: Option<&str>) -> Result<(), Error> {
    let sent = context.request.form.get("csrf");
    let same = expected.is_some_and(|expected| token::same(sent, expected));
    if same { Ok(()) } else { Err(Error::Forged) }
}

fn language(context: &RequestContext) -> Result<Response, Error> {
    let language = Language::named(context.request.form.get("lang")).ok_or(Error::BadRequest)?;
    let cookie = Cookie::Language.set(language.code(), context.request.secure);
    Ok(with_cookie(see_other(link::back(context.request.form.get("back"))), &cookie))
}

/// One request of a session at a time has its connection.
async fn with_connection(
    context: &mut RequestContext,
    session: &Session,
) -> Result<Response, Error> {
    let limit = context.admin.request_time;
    let Ok(_turn) = session.requests.try_acquire() else { return Err(Error::Crowded) };
    let mut kept = timeout(limit, session.connection.lock()).await.map_err(|_| Error::TooSlow)?;
    let opened = timeout(limit, open(&context.admin, session, kept.take())).await;
    let (connection, permissions) = match opened.unwrap_or(Err(Refused::Failed(Error::TooSlow))) {
        Ok(opened) => opened,
        Err(Refused::Failed(error)) => return Err(error),
        // The role is gone, or has another password: whoever has the session must sign in again.
        Err(Refused::Wrong | Refused::NotHere | Refused::NoPasswordAsked) => {
            sign_in::end(context);
            return Ok(sign_in::again(context, Some(Ended::Refused)));
        }
    };
    if !permissions.any() {
        sign_in::end(context);
        return Ok(sign_in::again(context, Some(Ended::WithoutRights)));
    }
    context.permissions = Some(permissions);
    let outcome = {
        let Some(permissions) = &context.permissions else { return Err(Error::Internal) };
        let user = Authenticated { context, session, permissions };
        timeout(limit, page_of(&user, &connection)).await
    };
    if let Ok(Err(Error::NotAllowed)) = outcome {
        context.remedy = membership::remedy(&connection).await;
    }
    match outcome {
        Ok(outcome) => {
            // One that was given up in mid-statement is dropped, and with it what it was about.
            if !connection.is_closed() {
                *kept = Some(connection);
            }
            outcome
        }
        Err(_) => Err(Error::TooSlow),
    }
}

/// The connection that there is, if it is still good, or else a new one, for which the role proves
/// itself again: whoever has another password since, or may no longer log in, is out by then. The
/// first question is a harmless one, so that a connection that died meanwhile is noticed before
/// anything is done on it.
async fn open(
    admin: &Admin,
    session: &Session,
    kept: Option<Connection>,
) -> Result<(Connection, Permissions), Refused> {
    let is_good = |kept: &Connection| !kept.is_closed() && kept.age(Instant::now()) < admin.recheck;
    if let Some(connection) = kept.filter(is_good) {
        match Permissions::of(&connection).await {
            Ok(permissions) => return Ok((connection, permissions)),
            Err(Error::Away) => {}
            Err(error) => return Err(Refused::Failed(error)),
        }
    }
    let connection = admin.login.sign_in(&session.role, &session.password, session.client).await?;
    let permissions = Permissions::of(&connection).await.map_err(Refused::Failed)?;
    Ok((connection, permissions))
}

async fn page_of(user: &Authenticated<'_>, connection: &Connection) -> Result<Response, Error> {
    let request = &user.context.request;
    let is_post = request.method == Method::POST;
    let path: Vec<_> = request.path.split('/').skip(1).collect();
    match (path.as_slice(), is_post) {
        (["keys"], false) => list::show(user, connection).await,
        (["keys", "new"], false) => add::form(user, connection).await,
        (["keys", "new"], true) => add::send(user, connection).await,
        (["keys", prefix] | ["keys", prefix @ "new", ""], false) => {
            key::show(user, connection, prefix).await
        }
        (["keys", prefix] | ["keys", prefix @ "new", ""], true) => {
            edit::send(user, connection, prefix).await
        }
        (["keys", prefix, "rotate"], true) => actions::rotate(user, connection, prefix).await,
        (["keys", prefix, "disable"], true) => actions::disable(user, connection, prefix).await,
        (["keys", prefix, "enable"], true) => actions::enable(user, connection, prefix).await,
        (["keys", prefix, "revoke"], true) => actions::revoke(user, connection, prefix).await,
        // What a reload of an answer to a form without a page of its own asks for.
        (["keys", prefix, "rotate" | "disable" | "enable" | "revoke"], false) => {
            Ok(see_other(link::back(&link::key(prefix))))
        }
        (["keys", prefix, "events"], false) => audit::show(user, connection, Some(prefix)).await,
        (["events"], false) => audit::show(user, connection, None).await,
        (["test"], false) => test::form(user),
        (["test"], true) => test::send(user, connection).await,
        (["keys" | "events" | "test", ..], true) => Err(Error::MethodNotAllowed),
        _ => Err(Error::NotFound),
    }
}
