//! The one page that has a key in it: the answer to the form that made the key.

use apikey_format::Key;
use hyper::StatusCode;
use maud::html;

use super::layout::respond;
use crate::context::Authenticated;
use crate::response::Response;

pub fn show(user: &Authenticated<'_>, key: &str, replaced: Option<&str>) -> Response {
    let texts = user.context.texts;
    user.context.will_show_new_key();
    let prefix = Key::parse(key).map_or("", Key::prefix);
    let body = html! {
        div .notice .good role="status" {
            p { strong { (texts.key_created) } }
            p { (texts.key_once) }
            div .key {
                output #new-key { (key) }
                // Hidden until there is a script, without which it would do nothing.
                button #copy type="button" hidden data-copied=(texts.copied) { (texts.copy) }
            }
            p #copy-said role="status" {}
        }
        @if let Some(replaced) = replaced {
            p { (texts.key_replaces) " " code { (replaced) } "." }
        }
        p { (texts.key_how) }
        pre { code { "Authorization: Api-Key " (texts.your_key) } }
        p .actions {
            a .button href={ "/keys/" (prefix) } { (texts.to_the_key) }
            a href="/keys" { (texts.to_the_list) }
        }
    };
    respond(user.context, StatusCode::OK, texts.key_created_title, &body)
}
