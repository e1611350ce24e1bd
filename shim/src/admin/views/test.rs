//! "Test a key": what the keytest answers, and why.

use std::net::IpAddr;

use hyper::StatusCode;
use maud::{Markup, html};

use super::respond;
use crate::admin::context::Authenticated;
use crate::admin::error::Error;
use crate::admin::lang::Texts;
use crate::admin::response::Response;

pub async fn form(user: &Authenticated<'_>) -> Result<Response, Error> {
    allowed(user)?;
    Ok(show(user, &html! {}, None))
}

pub async fn send(user: &Authenticated<'_>) -> Result<Response, Error> {
    allowed(user)?;
    let texts = user.context.texts;
    let form = &user.context.request.form;
    let (key, ip, tenant) = (form.get("key"), form.get("ip"), form.get("tenant"));
    if !ip.is_empty() && ip.parse::<IpAddr>().is_err() {
        return Ok(show(user, &html! {}, Some(texts.ip_wrong)));
    }
    let parameters = [Some(key), Some(ip), Some(tenant)];
    let call = |function: &str, result: &str| {
        format!("SELECT apikey.{function}($1, nullif($2, '')::inet, $3){result}")
    };
    let mut result = html! {};
    if user.permissions.check() {
        let verdict = user.connection.text(&call("check_key", "::text"), &parameters).await?;
        result = html! { (result) (verdict_of(texts, verdict.as_deref())) };
    }
    if user.permissions.explain() {
        let reason = user.connection.text(&call("explain_key", ""), &parameters).await?;
        result = html! { (result) (reason_of(texts, &reason.unwrap_or_default())) };
    }
    Ok(show(user, &result, None))
}

fn allowed(user: &Authenticated<'_>) -> Result<(), Error> {
    let may = user.permissions.check() || user.permissions.explain();
    if may { Ok(()) } else { Err(Error::NotAllowed) }
}

fn show(user: &Authenticated<'_>, result: &Markup, wrong: Option<&str>) -> Response {
    let texts = user.context.texts;
    let form = &user.context.request.form;
    let body = html! {
        @if !result.clone().into_string().is_empty() {
            section #result role="status" aria-label=(texts.result) { (result) }
        }
        p { (texts.test_how) }
        form .card method="post" action="/test" {
            input type="hidden" name="csrf" value=(user.session.csrf);
            div .field {
                label for="key" { (texts.key) }
                // Not with the answer again: it is in no page but the one that made it.
                input #key name="key" required autocomplete="off" autocapitalize="none" spellcheck="false";
            }
            div .field {
                label for="ip" { (texts.ip) }
                p .hint #ip-hint { (texts.ip_hint) }
                @if let Some(wrong) = wrong { p .error #ip-error { (wrong) } }
                input #ip name="ip" value=(form.get("ip")) autocapitalize="none" spellcheck="false"
                    aria-invalid=[wrong.map(|_| "true")]
                    aria-describedby=(if wrong.is_some() { "ip-hint ip-error" } else { "ip-hint" });
            }
            div .field {
                label for="tenant" { (texts.tenant) }
                p .hint #tenant-hint { (texts.tenant_test_hint) }
                input #tenant name="tenant" value=(form.get("tenant")) aria-describedby="tenant-hint";
            }
            button .main type="submit" { (texts.test) }
        }
    };
    let status = if wrong.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    respond(user.context, status, texts.menu_test, &body)
}

fn verdict_of(texts: &Texts, verdict: Option<&str>) -> Markup {
    match verdict {
        Some(json) => html! {
            div .notice .(if json.contains("\"ip_valid\":true") { "good" } else { "bad" }) {
                p { "200 OK" }
                pre { code { (json) } }
            }
        },
        None => html! {
            div .notice .bad { p { "401 Unauthorized" } p { (texts.not_valid) } }
        },
    }
}

/// The database's words are for managers, and in English; what they mean is said before.
fn reason_of(texts: &Texts, reason: &str) -> Markup {
    let known = [
        ("accepted", texts.reason_accepted),
        ("refused: malformed", texts.reason_malformed),
        ("refused: unknown prefix", texts.reason_unknown),
        ("refused: wrong secret", texts.reason_secret),
        ("refused: wrong tenant", texts.reason_tenant),
        ("refused: revoked", texts.reason_revoked),
        ("refused: expired", texts.reason_expired),
        ("refused: disabled", texts.reason_disabled),
        ("refused: wrong address", texts.reason_address),
    ];
    let meaning = known.iter().find(|(start, _)| reason.starts_with(start));
    html! {
        h2 { (texts.why) }
        @if let Some((_, meaning)) = meaning { p { (meaning) } }
        p .words { (texts.database_says) " " q lang="en" { (reason) } }
    }
}
