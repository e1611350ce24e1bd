//! What a tenant may be called.

use apikey_format::is_tenant;

/// So that a typo is found here: no key can have another.
/// The empty name is that of keys without a tenant, which are checked by leaving the setting out.
pub fn name(tenant: &str) -> Result<String, String> {
    let reason = "the name of a tenant has 1 to 200 characters, no blank at either end and no control character";
    if is_tenant(tenant) { Ok(tenant.to_owned()) } else { Err(reason.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for tenant in ["v", "The Venue", "caf\u{e9}", &"v".repeat(200)] {
            assert_eq!(name(tenant).as_deref(), Ok(tenant));
        }
        for tenant in ["", " v", "v ", "v\n", "v\0v", "\u{a0}v", &"v".repeat(201)] {
            assert!(name(tenant).is_err(), "{tenant:?}");
        }
    }
}
