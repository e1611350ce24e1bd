//! Addresses within these pages.

/// The address to go back to, if it is a path of these pages and no other site.
pub fn back(wanted: &str) -> &str {
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'\\';
    let here = wanted.starts_with('/') && !wanted.starts_with("//");
    let known = ["/keys", "/events", "/test", "/sign-in"];
    let ours = known.iter().any(|path| {
        wanted
            .strip_prefix(path)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
    });
    let fits = wanted.len() <= 2048 && wanted.bytes().all(plain);
    if here && ours && fits { wanted } else { "/keys" }
}

/// The page of a key. The key with the prefix `new` has a path of its own, beside that of the form
/// for new keys.
pub fn key(prefix: &str) -> String {
    format!("/keys/{prefix}{}", if prefix == "new" { "/" } else { "" })
}

/// A path with a query, if there is one.
pub fn with_query(path: &str, query: &str) -> String {
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_led_elsewhere() {
        for path in ["/keys", "/keys?q=a", "/keys/Map0K71T/events?page=2", "/test", "/sign-in"] {
            assert_eq!(back(path), path);
        }
        for path in [
            "",
            "/",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "/keys\r\nX: y",
            "/keysevil",
            "keys",
            "/keys/\\..",
            "javascript:alert(1)",
            "/keys é",
        ] {
            assert_eq!(back(path), "/keys", "{path}");
        }
    }
}
