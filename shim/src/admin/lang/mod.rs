//! The texts of all pages: one file per language, and the compiler sees to it that each has them all.

mod en;
mod fr;

use hyper::HeaderMap;
use hyper::header;

use super::session::Notice;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    English,
    French,
}

impl Language {
    pub const ALL: [Self; 2] = [Self::French, Self::English];

    /// As in BCP 47.
    pub fn code(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::French => "fr",
        }
    }

    /// In itself.
    pub fn name(self) -> &'static str {
        match self {
            Self::English => "English",
            Self::French => "Français",
        }
    }

    pub fn texts(self) -> &'static Texts {
        match self {
            Self::English => &en::TEXTS,
            Self::French => &fr::TEXTS,
        }
    }

    pub fn named(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|language| language.code() == code)
    }

    /// What the browser likes best of what there is (RFC 9110, 12.5.4); English where it likes none.
    pub fn preferred(headers: &HeaderMap) -> Self {
        let lines = headers.get_all(header::ACCEPT_LANGUAGE).iter();
        let ranges = lines.filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(','));
        let mut best = (Self::English, 0.0);
        for (language, quality) in ranges.filter_map(range) {
            // The first of several that are liked as much.
            if quality > best.1 {
                best = (language, quality);
            }
        }
        best.0
    }
}

/// `fr-CA;q=0.8` is French, liked by 0.8.
fn range(text: &str) -> Option<(Language, f32)> {
    let mut parts = text.split(';').map(str::trim);
    let tag = parts.next()?.split('-').next()?.to_ascii_lowercase();
    let quality = parts.find_map(|part| part.strip_prefix("q="));
    let quality = quality.map_or(Some(1.0), |quality| quality.parse().ok())?;
    Some((Language::named(&tag)?, quality))
}

pub struct Texts {
    // Around every page.
    pub product: &'static str,
    pub skip: &'static str,
    pub menu: &'static str,
    pub menu_keys: &'static str,
    pub menu_events: &'static str,
    pub menu_test: &'static str,
    pub signed_in_as: &'static str,
    pub sign_out: &'static str,
    pub zone: &'static str,

    // Signing in.
    pub sign_in: &'static str,
    pub sign_in_how: &'static str,
    pub role: &'static str,
    pub password: &'static str,
    pub wrong_password: &'static str,
    pub too_many_attempts: &'static str,
    pub no_password_asked: &'static str,
    pub not_this_database: &'static str,
    pub session_ended: &'static str,

    // The list.
    pub add_key: &'static str,
    pub search: &'static str,
    pub filter: &'static str,
    pub reset: &'static str,
    pub all: &'static str,
    pub no_keys: &'static str,
    pub no_match: &'static str,
    pub may_not_list: &'static str,
    pub pages: &'static str,
    pub previous: &'static str,
    pub next: &'static str,

    // What a key has.
    pub key: &'static str,
    pub your_key: &'static str,
    pub name: &'static str,
    pub prefix: &'static str,
    pub status: &'static str,
    pub auth: &'static str,
    pub ips: &'static str,
    pub ip: &'static str,
    pub owner: &'static str,
    pub tenant: &'static str,
    pub created: &'static str,
    pub expires_at: &'static str,
    pub last_used: &'static str,
    pub accepted: &'static str,
    pub refused: &'static str,
    pub disabled: &'static str,
    pub revoked: &'static str,
    pub replaced_by: &'static str,
    pub reason: &'static str,
    pub by: &'static str,
    pub from: &'static str,
    pub never: &'static str,
    pub now: &'static str,
    pub nothing: &'static str,
    pub anywhere: &'static str,

    // The form.
    pub add_title: &'static str,
    pub edit: &'static str,
    pub save: &'static str,
    pub cancel: &'static str,
    pub more: &'static str,
    pub create_revoke: &'static str,
    pub create_hint: &'static str,
    pub create_again_hint: &'static str,
    pub revoke_hint: &'static str,
    pub create_revoke_missing: &'static str,
    pub name_hint: &'static str,
    pub name_missing: &'static str,
    pub name_long: &'static str,
    pub name_taken: &'static str,
    pub auth_hint: &'static str,
    pub auth_missing: &'static str,
    pub auth_shape: &'static str,
    pub scopes_hint: &'static str,
    pub scope_missing: &'static str,
    pub scope_retired: &'static str,
    pub scope_unknown: &'static str,
    pub ips_hint: &'static str,
    pub ips_many: &'static str,
    pub ips_refused: &'static str,
    pub ip_hint: &'static str,
    pub ip_wrong: &'static str,
    pub expires_hint: &'static str,
    pub expires_wrong: &'static str,
    pub expires_past: &'static str,
    pub owner_hint: &'static str,
    pub owner_long: &'static str,
    pub tenant_hint: &'static str,
    pub tenant_long: &'static str,
    pub tenant_test_hint: &'static str,
    pub mistakes_title: &'static str,
    pub changed_meanwhile: &'static str,
    pub in_the_database: &'static str,

    // A new key.
    pub key_created_title: &'static str,
    pub key_created: &'static str,
    pub key_once: &'static str,
    pub key_replaces: &'static str,
    pub key_how: &'static str,
    pub copy: &'static str,
    pub copied: &'static str,
    pub to_the_key: &'static str,
    pub to_the_list: &'static str,

    // What can be done to a key.
    pub rotate: &'static str,
    pub rotate_hint: &'static str,
    pub grace: &'static str,
    pub disable: &'static str,
    pub disable_hint: &'static str,
    pub enable: &'static str,
    pub enable_hint: &'static str,
    pub revoke: &'static str,
    pub revoke_final: &'static str,

    // The audit trail.
    pub trail_of: &'static str,
    pub trail_of_key: &'static str,
    pub no_events: &'static str,
    pub when: &'static str,
    pub who: &'static str,
    pub action: &'static str,
    pub changed: &'static str,

    // The chart.
    pub uses: &'static str,
    pub uses_how: &'static str,
    pub last_hours: &'static str,
    pub last_days: &'static str,
    pub most: &'static str,
    pub as_table: &'static str,

    // Testing a key.
    pub test: &'static str,
    pub test_how: &'static str,
    pub result: &'static str,
    pub not_valid: &'static str,
    pub why: &'static str,
    pub database_says: &'static str,
    pub reason_accepted: &'static str,
    pub reason_malformed: &'static str,
    pub reason_unknown: &'static str,
    pub reason_secret: &'static str,
    pub reason_tenant: &'static str,
    pub reason_revoked: &'static str,
    pub reason_expired: &'static str,
    pub reason_disabled: &'static str,
    pub reason_address: &'static str,

    // What went wrong.
    pub problem_title: &'static str,
    pub try_again: &'static str,
    pub ask_for_rights: &'static str,
    pub bad_request: &'static str,
    pub too_large: &'static str,
    pub slow_client: &'static str,
    pub not_found: &'static str,
    pub method_not_allowed: &'static str,
    pub forged: &'static str,
    pub not_allowed: &'static str,
    pub no_such_key: &'static str,
    pub wrong_state: &'static str,
    pub sent_before: &'static str,
    pub rule_broken: &'static str,
    pub read_only: &'static str,
    pub no_extension: &'static str,
    pub away: &'static str,
    pub too_slow: &'static str,
    pub stay_signed_in: &'static str,
    pub send_again: &'static str,
    pub internal: &'static str,

    // With something in them.
    pub graces: [&'static str; 6],
    pub count: fn(i64) -> String,
    pub page_of: fn(i64, i64) -> String,
    pub columns: fn(usize) -> String,
    pub ips_wrong: fn(&str) -> String,
    pub chart_sum: fn(u64, u64) -> String,
    pub hours_ago: fn(usize) -> String,
    pub days_ago: fn(usize) -> String,
    statuses: fn(&str) -> &'static str,
    actions: fn(&str) -> &'static str,
    notices: fn(Notice) -> &'static str,
}

impl Texts {
    /// Of the view `apikeys`; one that is not known here is shown as it is.
    pub fn status_of<'a>(&self, status: &'a str) -> &'a str {
        known((self.statuses)(status), status)
    }

    /// Of the view `apikey_events`.
    pub fn action_of<'a>(&self, action: &'a str) -> &'a str {
        known((self.actions)(action), action)
    }

    pub fn notice(&self, notice: Notice) -> &'static str {
        (self.notices)(notice)
    }
}

fn known<'a>(text: &'static str, otherwise: &'a str) -> &'a str {
    if text.is_empty() { otherwise } else { text }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::admin::keys::STATUSES;

    fn preferred(line: &str) -> Language {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_LANGUAGE, line.parse().unwrap());
        Language::preferred(&headers)
    }

    #[test]
    fn the_browsers_language() {
        for line in ["fr", "fr-CA,en;q=0.8", "en;q=0.5, fr;q=0.9", "de, fr;q=0.1", "FR-fr"] {
            assert_eq!(preferred(line), Language::French, "{line}");
        }
        for line in ["en", "en-GB,fr;q=0.9", "de", "*", "", "fr;q=0", "fr;q=x", "frx"] {
            assert_eq!(preferred(line), Language::English, "{line}");
        }
        assert_eq!(Language::preferred(&HeaderMap::new()), Language::English);
    }

    /// The compiler knows that both have all texts; this, that they are texts, and of every status and action.
    #[test]
    fn every_language_has_words_for_everything() {
        let source =
            [(Language::English, include_str!("en.rs")), (Language::French, include_str!("fr.rs"))];
        for (language, source) in source {
            let texts = language.texts();
            let empty = source.lines().filter(|line| line.ends_with(": \"\",")).count();
            assert_eq!(empty, 0, "an empty text");
            for status in STATUSES {
                assert!(!(texts.statuses)(status).is_empty(), "{status}");
            }
            for action in
                ["create", "import", "change", "rotate", "disable", "enable", "revoke", "delete"]
            {
                assert!(!(texts.actions)(action).is_empty(), "{action}");
            }
        }
        assert_eq!(Language::French.texts().add_key, "AJOUTER API KEY");
        assert_eq!(Language::French.texts().create_revoke, "Créer / Révoquer");
        assert_eq!(
            Language::English.texts().status_of("new in a later version"),
            "new in a later version"
        );
    }
}
