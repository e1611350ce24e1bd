//! What is done to a key: it is rotated, disabled, enabled or revoked.

use crate::context::Authenticated;
use crate::db::actions;
use crate::db::connection::Connection;
use crate::error::Error;
use crate::lang::Notice;
use crate::link;
use crate::response::{Response, see_other};
use crate::token;
use crate::views::actions::GRACES;
use crate::views::new_key;

pub async fn rotate(
    user: &Authenticated<'_>,
    connection: &Connection,
    prefix: &str,
) -> Result<Response, Error> {
    let form = &user.context.request.form;
    let (grace, once) = (form.get("grace"), form.get("once"));
    if !GRACES.contains(&grace) || !token::has_shape(once) {
        return Err(Error::BadRequest);
    }
    if !user.session.is_first(once) {
        return Err(Error::SentBefore);
    }
    match actions::rotate(connection, prefix, grace).await {
        Ok(fresh) => Ok(new_key::show(user, &fresh, Some(prefix))),
        Err(error) => {
            if error.code().is_some() {
                user.session.not_sent(once);
            }
            Err(error.into())
        }
    }
}

pub async fn disable(
    user: &Authenticated<'_>,
    connection: &Connection,
    prefix: &str,
) -> Result<Response, Error> {
    let now = actions::disable(connection, prefix).await?;
    done(user, prefix, if now { Notice::Disabled } else { Notice::DisabledBefore })
}

pub async fn enable(
    user: &Authenticated<'_>,
    connection: &Connection,
    prefix: &str,
) -> Result<Response, Error> {
    let now = actions::enable(connection, prefix).await?;
    done(user, prefix, if now { Notice::Enabled } else { Notice::EnabledBefore })
}

pub async fn revoke(
    user: &Authenticated<'_>,
    connection: &Connection,
    prefix: &str,
) -> Result<Response, Error> {
    let now = actions::revoke(connection, prefix, user.context.request.form.get("reason")).await?;
    done(user, prefix, if now { Notice::Revoked } else { Notice::RevokedBefore })
}

fn done(user: &Authenticated<'_>, prefix: &str, notice: Notice) -> Result<Response, Error> {
    user.session.notify(notice);
    Ok(see_other(&link::key(prefix)))
}
