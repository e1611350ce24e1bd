//! What can be done to a key: rotate, disable, enable and revoke it.

use maud::{Markup, html};

use crate::context::Authenticated;
use crate::db::key::Key;

/// How long the old key stays valid, in seconds. No time at all comes first: a key is often
/// rotated because it leaked.
pub const GRACES: [&str; 6] = ["0", "3600", "86400", "604800", "2592000", "7776000"];

/// The forms of what the role may do and the key is fit for.
pub fn forms(user: &Authenticated<'_>, key: &Key, once: &str) -> Markup {
    let (texts, permissions) = (user.context.texts, user.permissions);
    let form = |action: &str, inner: Markup| {
        html! {
            form .card method="post" action={ "/keys/" (key.prefix) "/" (action) } {
                input type="hidden" name="csrf" value=(user.session.csrf);
                (inner)
            }
        }
    };
    let live = !key.is_revoked();
    html! {
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
    }
}
