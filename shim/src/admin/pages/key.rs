//! One key: what it is, what can be changed, and what can be done to it.

use hyper::StatusCode;
use maud::{Markup, html};

use super::fields::Fields;
use super::{add, answer, chart, list, new_key};
use crate::admin::answer::{Answer, see_other};
use crate::admin::failure::Failure;
use crate::admin::input::{Input, Mistake, mistake_of};
use crate::admin::key::{self, Changes, Key};
use crate::admin::scopes::{self, Scope};
use crate::admin::session::Notice;
use crate::admin::token;
use crate::admin::visit::Desk;

/// In seconds. None at all comes first: a key is often rotated because it leaked.
const GRACES: [&str; 6] = ["0", "3600", "86400", "604800", "2592000", "7776000"];

pub async fn show(desk: &Desk<'_>, prefix: &str) -> Result<Answer, Failure> {
    let (key, version) = find(desk, prefix).await?;
    let known = scopes::known(desk).await?;
    let form = Form { input: &Input::of_key(&key), mistakes: &[], theirs: None, version: &version };
    page(desk, &key, &known, &form)
}

/// Changes are saved only on what the form showed. Then the box: it ends the key of a live entry, and makes a new
/// one for an entry whose key is revoked.
pub async fn send(desk: &Desk<'_>, prefix: &str) -> Result<Answer, Failure> {
    if !desk.rights.edit() {
        return Err(Failure::NotAllowed);
    }
    let texts = desk.visit.texts;
    let (key, version) = find(desk, prefix).await?;
    let known = scopes::known(desk).await?;
    let sent = &desk.visit.asked.form;
    // Not in this form, since it cannot be changed.
    let input = Input { tenant: key.tenant.clone(), ..Input::of_form(sent) };
    if sent.get("version") != version {
        let form = Form { input: &input, mistakes: &[], theirs: Some(&key), version: &version };
        return page(desk, &key, &known, &form);
    }
    let refuse = |mistakes: &[Mistake]| {
        let form = Form { input: &input, mistakes, theirs: None, version: &version };
        page(desk, &key, &known, &form)
    };
    let mistakes = input.mistakes(&known, texts);
    if !mistakes.is_empty() {
        return refuse(&mistakes);
    }
    if input.create_revoke && key.is_revoked() {
        let auth = scopes::auth(&input.scopes(), Some(&key.auth)).to_string();
        return match add::create_with(desk, &input, &auth).await? {
            Ok(fresh) => Ok(new_key::show(desk, &fresh, Some(prefix))),
            Err(mistake) => refuse(&[mistake]),
        };
    }
    let changes = changes(&input, &key);
    let outcome = save(desk, prefix, &version, &changes, input.create_revoke).await;
    match outcome {
        Ok(Some(notice)) => {
            desk.session.notify(notice);
            Ok(see_other(&format!("/keys/{prefix}")))
        }
        // Between our look and our change.
        Ok(None) => {
            let (key, version) = find(desk, prefix).await?;
            let form = Form { input: &input, mistakes: &[], theirs: Some(&key), version: &version };
            page(desk, &key, &known, &form)
        }
        Err(error) => match mistake_of(&error, texts) {
            Some(mistake) => refuse(&[mistake]),
            None => Err(error.into()),
        },
    }
}

/// Both or nothing: what was changed, and the revocation. `None` where somebody else was faster.
async fn save(
    desk: &Desk<'_>,
    prefix: &str,
    version: &str,
    changes: &Changes,
    revoke: bool,
) -> Result<Option<Notice>, tokio_postgres::Error> {
    let connection = desk.connection;
    if changes.is_empty() && !revoke {
        return Ok(Some(Notice::Unchanged));
    }
    connection.command("BEGIN").await?;
    let doing = async {
        if !changes.is_empty() && !key::change(connection, prefix, version, changes).await? {
            return Ok(None);
        }
        if !revoke {
            return Ok(Some(Notice::Saved));
        }
        let now = key::revoke(desk, prefix, "").await?;
        Ok(Some(if now { Notice::Revoked } else { Notice::RevokedBefore }))
    };
    let outcome = doing.await;
    let end = if matches!(outcome, Ok(Some(_))) { "COMMIT" } else { "ROLLBACK" };
    let ended = connection.command(end).await;
    let outcome = outcome?;
    ended.map(|()| outcome)
}

fn changes(input: &Input, key: &Key) -> Changes {
    let before = Input::of_key(key);
    let changed = |new: &str, old: &str| (new != old).then(|| new.to_owned());
    let mut asked = input.scopes();
    let mut had = before.scopes();
    asked.sort();
    had.sort();
    Changes {
        name: changed(&input.name, &before.name),
        owner: changed(&input.owner, &before.owner).filter(|owner| !owner.is_empty()),
        auth: (asked != had).then(|| scopes::auth(&input.scopes(), Some(&key.auth)).to_string()),
        ips: changed(&input.networks(), &before.networks()),
        expires_at: changed(&input.expires_at, &before.expires_at),
    }
}

pub async fn rotate(desk: &Desk<'_>, prefix: &str) -> Result<Answer, Failure> {
    let form = &desk.visit.asked.form;
    let (grace, once) = (form.get("grace"), form.get("once"));
    if !GRACES.contains(&grace) || !token::has_shape(once) {
        return Err(Failure::BadRequest);
    }
    if !desk.session.is_first(once) {
        return Err(Failure::SentBefore);
    }
    match key::rotate(desk, prefix, grace).await {
        Ok(fresh) => Ok(new_key::show(desk, &fresh, Some(prefix))),
        Err(error) => {
            if error.code().is_some() {
                desk.session.not_sent(once);
            }
            Err(error.into())
        }
    }
}

pub async fn disable(desk: &Desk<'_>, prefix: &str) -> Result<Answer, Failure> {
    let now = key::disable(desk, prefix).await?;
    done(desk, prefix, if now { Notice::Disabled } else { Notice::DisabledBefore })
}

pub async fn enable(desk: &Desk<'_>, prefix: &str) -> Result<Answer, Failure> {
    let now = key::enable(desk, prefix).await?;
    done(desk, prefix, if now { Notice::Enabled } else { Notice::EnabledBefore })
}

pub async fn revoke(desk: &Desk<'_>, prefix: &str) -> Result<Answer, Failure> {
    let now = key::revoke(desk, prefix, desk.visit.asked.form.get("reason")).await?;
    done(desk, prefix, if now { Notice::Revoked } else { Notice::RevokedBefore })
}

fn done(desk: &Desk<'_>, prefix: &str, notice: Notice) -> Result<Answer, Failure> {
    desk.session.notify(notice);
    Ok(see_other(&format!("/keys/{prefix}")))
}

async fn find(desk: &Desk<'_>, prefix: &str) -> Result<(Key, String), Failure> {
    if prefix.len() != 8 || !prefix.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(Failure::NotFound);
    }
    if !desk.rights.list() {
        return Err(Failure::NotAllowed);
    }
    key::find(desk, prefix).await
}

/// What is in the form that changes the key.
struct Form<'a> {
    input: &'a Input,
    mistakes: &'a [Mistake],
    /// The key as somebody else left it meanwhile.
    theirs: Option<&'a Key>,
    version: &'a str,
}

fn page(desk: &Desk<'_>, key: &Key, known: &[Scope], form: &Form<'_>) -> Result<Answer, Failure> {
    let texts = desk.visit.texts;
    let body = html! {
        @if let Some(notice) = desk.session.take_notice() {
            div .notice .good role="status" { p { (texts.notice(notice)) } }
        }
        @if form.theirs.is_some() {
            div .notice .bad role="alert" { p { (texts.changed_meanwhile) } }
        }
        (facts(desk, key))
        @if desk.rights.edit() { (edit(desk, key, known, form)?) }
        (actions(desk, key)?)
        section aria-labelledby="uses" {
            h2 #uses { (texts.uses) }
            (chart::of_key(desk, key))
        }
        @if desk.rights.events() {
            p { a href={ "/keys/" (key.prefix) "/events" } { (texts.trail_of_key) } }
        }
    };
    let status = match (form.theirs, form.mistakes) {
        (Some(_), _) => StatusCode::CONFLICT,
        (None, []) => StatusCode::OK,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    };
    let title = format!("{} {}", texts.key, key.name);
    Ok(answer(desk.visit, status, &title, &body))
}

fn facts(desk: &Desk<'_>, key: &Key) -> Markup {
    let texts = desk.visit.texts;
    let fact = |label: &str, value: Markup| html! { div { dt { (label) } dd { (value) } } };
    let or_never = |at: &Option<String>| html! { @match at { Some(at) => time { (at) }, None => (texts.never) } };
    html! {
        dl .facts {
            (fact(texts.status, list::badge(texts, &key.status)))
            (fact(texts.prefix, html! { code { (key.prefix) } }))
            (fact(texts.owner, html! { (key.owner) }))
            @if !key.tenant.is_empty() { (fact(texts.tenant, html! { (key.tenant) })) }
            (fact(texts.auth, html! { (scopes::granted(&key.auth).join(", ")) }))
            (fact(texts.ips, html! {
                @if key.ips.is_empty() { (texts.anywhere) } @else { code { (key.ips.join(", ")) } }
            }))
            (fact(texts.created, html! { time { (key.created_at) } " " (texts.by) " " (key.created_by) }))
            (fact(texts.expires_at, or_never(&key.expires_at)))
            (fact(texts.last_used, html! {
                (or_never(&key.last_used_at))
                @if let Some(ip) = &key.last_used_ip { " " (texts.from) " " code { (ip) } }
            }))
            (fact(texts.accepted, html! { (key.accepted) }))
            (fact(texts.refused, html! { (key.refused) }))
            @if let Some(at) = &key.disabled_at { (fact(texts.disabled, html! { time { (at) } })) }
            @if let Some(at) = &key.revoked_at {
                (fact(texts.revoked, html! {
                    time { (at) }
                    @if let Some(by) = &key.revoked_by { " " (texts.by) " " (by) }
                    @if let Some(reason) = &key.revoke_reason { ": " (reason) }
                }))
            }
            @if let Some(next) = &key.replaced_by {
                (fact(texts.replaced_by, html! { a href={ "/keys/" (next) } { code { (next) } } }))
            }
        }
    }
}

fn edit(desk: &Desk<'_>, key: &Key, known: &[Scope], form: &Form<'_>) -> Result<Markup, Failure> {
    let texts = desk.visit.texts;
    let fields =
        Fields { texts, input: form.input, mistakes: form.mistakes, known, theirs: form.theirs };
    let (may_tick, hint) = match key.is_revoked() {
        true => (desk.rights.create(), texts.create_again_hint),
        false => (desk.rights.revoke(), texts.revoke_hint),
    };
    Ok(html! {
        section aria-labelledby="edit" {
            h2 #edit { (texts.edit) }
            (fields.summary())
            form .card method="post" action={ "/keys/" (key.prefix) } novalidate {
                input type="hidden" name="csrf" value=(desk.session.csrf);
                input type="hidden" name="version" value=(form.version);
                input type="hidden" name="once" value=(token::random()?);
                (fields.name())
                (fields.auth())
                (fields.ips())
                (fields.expires_at())
                (fields.owner())
                @if may_tick { (fields.create_revoke(hint)) }
                div .actions { button .main type="submit" { (texts.save) } a href="/keys" { (texts.cancel) } }
            }
        }
    })
}

fn actions(desk: &Desk<'_>, key: &Key) -> Result<Markup, Failure> {
    let (texts, rights) = (desk.visit.texts, desk.rights);
    let form = |action: &str, inner: Markup| {
        html! {
            form .card method="post" action={ "/keys/" (key.prefix) "/" (action) } {
                input type="hidden" name="csrf" value=(desk.session.csrf);
                (inner)
            }
        }
    };
    let once = token::random()?;
    let live = !key.is_revoked();
    Ok(html! {
        @if rights.rotate() && key.can_rotate() {
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
        @if live && rights.disable() && key.disabled_at.is_none() {
            section aria-labelledby="disable" {
                h2 #disable { (texts.disable) }
                (form("disable", html! { p { (texts.disable_hint) } button type="submit" { (texts.disable) } }))
            }
        }
        @if live && rights.enable() && key.disabled_at.is_some() {
            section aria-labelledby="enable" {
                h2 #enable { (texts.enable) }
                (form("enable", html! { p { (texts.enable_hint) } button type="submit" { (texts.enable) } }))
            }
        }
        @if live && rights.revoke() {
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
