//! Names of scopes and of tenants.

/// In bytes, and so in characters.
const LONGEST_SCOPE: usize = 64;

/// In characters.
const LONGEST_TENANT: usize = 200;

/// Whether an `auth` can name this scope: 1 to 64 of `[A-Za-z0-9_.:/-]`.
pub fn is_scope(text: &str) -> bool {
    let is_right = |byte: u8| byte.is_ascii_alphanumeric() || b"_.:/-".contains(&byte);
    (1..=LONGEST_SCOPE).contains(&text.len()) && text.bytes().all(is_right)
}

/// Whether a tenant can have this name: 1 to 200 characters, no blank at either end, and no control
/// character, which neither a setting nor a header could hold. The empty name is that of keys
/// without a tenant.
pub fn is_tenant(text: &str) -> bool {
    !text.is_empty()
        && text.chars().nth(LONGEST_TENANT).is_none()
        && text.trim() == text
        && !text.contains(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes() {
        for text in ["event", "a/b:c.d_e-F9", &"s".repeat(64)] {
            assert!(is_scope(text), "{text:?}");
        }
        for text in ["", "a b", "a,b", "*", "a\n", "a\0", "caf\u{e9}", &"s".repeat(65)] {
            assert!(!is_scope(text), "{text:?}");
        }
    }

    #[test]
    fn tenants() {
        for text in ["v", "The Venue", "caf\u{e9}", &"\u{e9}".repeat(200)] {
            assert!(is_tenant(text), "{text:?}");
        }
        for text in ["", " v", "v ", "v\n", "v\0v", "\u{a0}v", &"v".repeat(201)] {
            assert!(!is_tenant(text), "{text:?}");
        }
    }
}
