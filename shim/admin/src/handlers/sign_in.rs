//! Signing in, and out.

use std::time::Instant;

use hyper::StatusCode;
use hyper::header::{self, HeaderValue};
use tokio::time::timeout;
use tracing::{info, warn};
use zeroize::Zeroizing;

use crate::context::RequestContext;
use crate::cookies::Cookie;
use crate::db::membership;
use crate::error::Error;
use crate::link;
use crate::log_target;
use crate::login::Refused;
use crate::permissions::Permissions;
use crate::response::{Response, see_other, with_cookie};
use crate::session::Session;
use crate::token;
use crate::views::problem;
use crate::views::sign_in::{Ended, refused, without_permissions};

/// Begins a session for a role whose password Postgres takes.
pub async fn sign_in(context: &RequestContext) -> Response {
    let (texts, request, admin) = (context.texts, &context.request, &context.admin);
    let role = request.form.get("role");
    let password = Zeroizing::new(request.form.raw("password").to_owned());
    let back = link::back(request.form.get("back"));
    let refuse = |status, sentence: &str| refused(context, status, sentence, back);
    let fail = |error: Error| refuse(error.status(), error.sentence(texts));

    let attempt = match admin.throttle.attempt(request.client, role, Instant::now()) {
        Ok(attempt) => attempt,
        Err(wait) => {
            let mut response = refuse(StatusCode::TOO_MANY_REQUESTS, texts.too_many_attempts);
            let seconds = HeaderValue::from(wait.as_secs() + 1);
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
            return response;
        }
    };
    let Ok(Ok(_turn)) = timeout(admin.request_time, admin.signing_in.acquire()).await else {
        admin.throttle.succeeded(attempt);
        return fail(Error::TooSlow);
    };
    let connection = match admin.login.sign_in(role, &password, request.client).await {
        Ok(connection) => connection,
        Err(Refused::Wrong) => {
            // The role is left out: people type passwords there. Postgres logs it.
            warn!(target: log_target::ADMIN, client = %request.client, "a sign-in to the admin page was refused");
            return refuse(StatusCode::FORBIDDEN, texts.wrong_password);
        }
        Err(refused) => {
            // This was no wrong guess.
            admin.throttle.succeeded(attempt);
            return match refused {
                Refused::NoPasswordAsked => refuse(StatusCode::FORBIDDEN, texts.no_password_asked),
                Refused::NotHere => refuse(StatusCode::FORBIDDEN, texts.not_this_database),
                Refused::Failed(error) => fail(error),
                Refused::Wrong => refuse(StatusCode::FORBIDDEN, texts.wrong_password),
            };
        }
    };
    // Only who has something to do here gets a session. Nobody else takes up one of their places.
    let permissions = timeout(admin.request_time, Permissions::of(&connection)).await;
    match permissions.unwrap_or(Err(Error::TooSlow)) {
        Ok(permissions) if permissions.any() => admin.throttle.succeeded(attempt),
        Ok(_) => {
            let remedy = membership::remedy(&connection).await;
            return without_permissions(context, remedy.as_deref(), back);
        }
        Err(error) => {
            admin.throttle.succeeded(attempt);
            return fail(error);
        }
    }
    // One that was there before is of no more use.
    end(context);
    let begun = token::random().and_then(|csrf| {
        let session = Session::new(role.to_owned(), password, request.client, csrf, connection);
        admin.sessions.begin(role, session, Instant::now())
    });
    match begun {
        Ok(id) => {
            info!(target: log_target::ADMIN, role, client = %request.client, "signed in to the admin page");
            with_cookie(see_other(back), &Cookie::Session.set(&id, request.secure))
        }
        Err(error) => problem::show(context, error),
    }
}

pub fn sign_out(context: &RequestContext) -> Response {
    end(context);
    let mut response = see_other("/sign-in");
    // The browser forgets the pages that it has kept, too (W3C, Clear Site Data).
    response.headers_mut().insert("clear-site-data", HeaderValue::from_static("\"cache\""));
    with_cookie(response, &Cookie::Session.remove(context.request.secure))
}

pub fn end(context: &RequestContext) {
    if let Some(id) = &context.request.session {
        context.admin.sessions.end(id);
    }
}

/// Leads to where a session begins anew. A form that was sent is lost, which that page says.
pub fn again(context: &RequestContext, ended: Option<Ended>) -> Response {
    let here = context.request.here();
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("back", here);
    if let Some(ended) = ended {
        query.append_pair("ended", ended.code());
    }
    see_other(&format!("/sign-in?{}", query.finish()))
}

/// Every visitor without one gets a token that the form to sign in has to bring along.
pub fn with_token(context: &mut RequestContext) -> Result<Option<String>, Error> {
    if context.request.sign_in.as_deref().is_some_and(token::has_shape) {
        return Ok(None);
    }
    let token = token::random()?;
    let cookie = Cookie::SignIn.set(&token, context.request.secure);
    context.request.sign_in = Some(token);
    Ok(Some(cookie))
}
