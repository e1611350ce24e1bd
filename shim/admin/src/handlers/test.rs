//! "Test a key": what the keytest answers, and why.

use std::net::IpAddr;

use crate::context::Authenticated;
use crate::db::actions;
use crate::db::connection::Connection;
use crate::error::Error;
use crate::response::Response;
use crate::views::test::{Outcome, show};

pub fn form(user: &Authenticated<'_>) -> Result<Response, Error> {
    allowed(user)?;
    Ok(show(user, &Outcome::default(), None))
}

pub async fn send(user: &Authenticated<'_>, connection: &Connection) -> Result<Response, Error> {
    allowed(user)?;
    let form = &user.context.request.form;
    let question = ["key", "ip", "tenant"].map(|name| form.get(name));
    let [_, ip, _] = question;
    let mut outcome = Outcome::default();
    if !ip.is_empty() && ip.parse::<IpAddr>().is_err() {
        return Ok(show(user, &outcome, Some(user.context.texts.ip_wrong)));
    }
    if user.permissions.check() {
        outcome.verdict = Some(actions::check(connection, question).await?);
    }
    if user.permissions.explain() {
        outcome.reason = Some(actions::explain(connection, question).await?.unwrap_or_default());
    }
    Ok(show(user, &outcome, None))
}

fn allowed(user: &Authenticated<'_>) -> Result<(), Error> {
    let may = user.permissions.check() || user.permissions.explain();
    if may { Ok(()) } else { Err(Error::NotAllowed) }
}
