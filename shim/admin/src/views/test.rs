//! "Test a key": what the keytest answers, and why.

use hyper::StatusCode;
use maud::{Markup, html};

use super::layout::respond;
use crate::context::Authenticated;
use crate::lang::Texts;
use crate::response::Response;

/// What the database said, of what the role may ask it.
#[derive(Default)]
pub struct Outcome {
    /// `None` of a key that is not valid.
    pub verdict: Option<Option<String>>,
    pub reason: Option<String>,
}

pub fn show(user: &Authenticated<'_>, outcome: &Outcome, wrong: Option<&str>) -> Response {
    let texts = user.context.texts;
    let form = &user.context.request.form;
    let body = html! {
        @if outcome.verdict.is_some() || outcome.reason.is_some() {
            section #result role="status" aria-label=(texts.result) {
                @if let Some(verdict) = &outcome.verdict { (verdict_of(texts, verdict.as_deref())) }
                @if let Some(reason) = &outcome.reason { (reason_of(texts, reason)) }
            }
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
