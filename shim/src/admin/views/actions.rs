//! What can be done to a key: rotate, disable, enable and revoke it.

use maud::{Markup, html};

use super::new_key;
use crate::admin::context::Authenticated;
use crate::admin::db::key::{self, Key};
use crate::admin::error::Error;
use crate::admin::lang::Notice;
use crate::admin::link;
use crate::admin::response::{Response, see_other};
use crate::admin::token;

/// In seconds. None at all comes first: a key is often rotated because it leaked.
const GRACES: [&str; 6] = ["0", "3600", "86400", "604800", "2592000", "7776000"];

pub async fn rotate(user: &Authenticated<'_>, prefix: &str) -> Result<Response, Error> {
    let form = &user.context.request.form;
    let (grace, once) = (form.get("grace"), form.get("once"));
    if !GRACES.contains(&grace) || !token::has_shape(once) {
        return Err(Error::BadRequest);
    }
    if !user.session.is_first(once) {
        return Err(Error::SentBefore);
    }
    match key::rotate(user, prefix, grace).await {
        Ok(fresh) => Ok(new_key::show(user, &fresh, Some(prefix))),
        Err(error) => {
            if error.code().is_some() {
                user.session.not_sent(once);
            }
            Err(error.into())
        }
    }
}

pub async fn disable(user: &Authenticated<'_>, prefix: &str) -> Result<Response, Error> {
    let now = key::disable(user, prefix).await?;
    done(user, prefix, if now { Notice::Disabled } else { Notice::DisabledBefore })
}

pub async fn enable(user: &Authenticated<'_>, prefix: &str) -> Result<Response, Error> {
    let now = key::enable(user, prefix).await?;
    done(user, prefix, if now { Notice::Enabled } else { Notice::EnabledBefore })
}

pub async fn revoke(user: &Authenticated<'_>, prefix: &str) -> Result<Response, Error> {
    let now = key::revoke(user, prefix, user.context.request.form.get("reason")).await?;
    done(user, prefix, if now { Notice::Revoked } else { Notice::RevokedBefore })
}

fn done(user: &Authenticated<'_>, prefix: &str, notice: Notice) -> Result<Response, Error> {
    user.session.notify(notice);
    Ok(see_other(&link::key(prefix)))
}

/// Those that the role may do, and that the key is fit for.
pub fn forms(user: &Authenticated<'_>, key: &Key) -> Result<Markup, Error> {
    let (texts, permissions) = (user.context.texts, user.permissions);
    let form = |action: &str, inner: Markup| {
        html! {
            form .card method="post" action={ "/keys/" (key.prefix) "/" (action) } {
                input type="hidden" name="csrf" value=(user.session.csrf);
                (inner)
            }
        }
    };
    let once = token::random()?;
    let live = !key.is_revoked();
    Ok(html! {
        @if permissions.rotate() && key.can_rotate() {
            section aria-labelledby="rotate" {
                h2 #rotate { (texts.rotate) }
                (form("rotate", html! {
                    input type="hidden" name="once" value=(once);
                    p #rotate-hint { (texts.rotate_hint) }
                    div .field {
                        label for="grace" { (texts.grace) }
                        select #grace name="grace" aria-describedby="rotate-hint" {
                            @for (at, seconds) in GRACES.iter().enumerate() {
                                option value=(seconds) { (texts.graces[at]) }
                            }
                        }
                    }
                    button type="submit" { (texts.rotate) }
                }))
            }
        }
        @if live && permissions.disable() && key.disabled_at.is_none() {
            section aria-labelledby="disable" {
                h2 #disable { (texts.disable) }
                (form("disable", html! { p { (texts.disable_hint) } button type="submit" { (texts.disable) } }))
            }
        }
        @if live && permissions.enable() && key.disabled_at.is_some() {
            section aria-labelledby="enable" {
                h2 #enable { (texts.enable) }
                (form("enable", html! { p { (texts.enable_hint) } button type="submit" { (texts.enable) } }))
            }
        }
        @if live && permissions.revoke() {
            section aria-labelledby="revoke" {
                h2 #revoke { (texts.revoke) }
                (form("revoke", html! {
                    p { (texts.revoke_final) }
                    div .field {
                        label for="reason" { (texts.reason) }
                        input #reason name="reason" maxlength="500";
                    }
                    button .danger type="submit" { (texts.revoke) }
                }))
            }
        }
    })
}
