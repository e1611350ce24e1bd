//! What there is to say. Each language is one value of this, so that the compiler finds a text that
//! is missing.

pub struct Texts {
    // Around every page.
    pub product: &'static str,
    pub skip: &'static str,
    pub menu: &'static str,
    pub colon: &'static str,
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
    pub session_refused: &'static str,
    pub no_rights: &'static str,

    // The list.
    pub add_key: &'static str,
    pub search: &'static str,
    pub search_in: &'static str,
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
    pub metadata: &'static str,
    pub reason: &'static str,
    pub by: &'static str,
    pub from: &'static str,
    pub never: &'static str,
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
    pub owner_missing: &'static str,
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
    pub not_inherited: &'static str,
    pub bad_request: &'static str,
    pub too_large: &'static str,
    pub slow_client: &'static str,
    pub misdirected: &'static str,
    pub crowded: &'static str,
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
    pub old_extension: &'static str,
    pub internal: &'static str,

    // With something in them.
    pub graces: [&'static str; 6],
    pub count: fn(i64) -> String,
    pub key_named: fn(&str) -> String,
    pub page_of: fn(i64, i64) -> String,
    pub columns: fn(usize) -> String,
    pub ips_wrong: fn(&str) -> String,
    pub(super) statuses: fn(&str) -> &'static str,
    pub(super) actions: fn(&str) -> &'static str,
    pub(super) notices: fn(Notice) -> &'static str,
}

impl Texts {
    /// A status of the view `apikeys`. One that is not known here is shown as it is.
    pub fn status_of<'a>(&self, status: &'a str) -> &'a str {
        known((self.statuses)(status), status)
    }

    /// An action of the view `apikey_events`, likewise.
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

/// What a page says once, after the redirect from what was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    Saved,
    Unchanged,
    Disabled,
    Enabled,
    Revoked,
    RevokedBefore,
    DisabledBefore,
    EnabledBefore,
}
