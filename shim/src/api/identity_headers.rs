//! Whose key it is, in headers for a proxy to pass on. All are always there, so that a proxy that
//! copies them overwrites whatever a client sent under these names.

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue, InvalidHeaderValue};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::keys::decision::Identity;

/// A name may be any text. What is encoded (RFC 3986) is all but its unreserved characters and the
/// `@`, so that the value means the same to whoever splits at commas, trims blanks, takes `+` for
/// one, or quotes.
const ENCODED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'@');

pub fn set(identity: &Identity, headers: &mut HeaderMap) -> Result<(), InvalidHeaderValue> {
    for (name, value) in [
        ("x-apikey-prefix", encoded(&identity.prefix)),
        ("x-apikey-name", encoded(&identity.name)),
        ("x-apikey-owner", encoded(&identity.owner)),
        ("x-apikey-auth", ascii(&identity.auth)),
        ("x-apikey-tenant", encoded(&identity.tenant)),
    ] {
        headers.insert(HeaderName::from_static(name), HeaderValue::try_from(value)?);
    }
    Ok(())
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

/// The same JSON in ASCII: other characters stand in strings alone, where each may be written as
/// `\u…` (RFC 8259, 7). Postgres writes control characters so.
fn ascii(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for character in json.chars() {
        match character {
            ' '..='~' => text.push(character),
            _ => {
                let mut units = [0; 2];
                for unit in character.encode_utf16(&mut units) {
                    text.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use percent_encoding::percent_decode_str;
    use proptest::prelude::*;
    use serde_json::Value;

    #[test]
    fn plain_names_stay_readable() {
        for (text, header) in [
            ("cashless", "cashless"),
            ("ada@example.org", "ada@example.org"),
            ("box office", "box%20office"),
            ("100 %, \"new\"", "100%20%25%2C%20%22new%22"),
            ("caf\u{e9}", "caf%C3%A9"),
            ("a\r\nX-Apikey-Owner: b", "a%0D%0AX-Apikey-Owner%3A%20b"),
            ("", ""),
        ] {
            assert_eq!(encoded(text), header);
        }
        assert_eq!(ascii(r#"["event", "ticket"]"#), r#"["event", "ticket"]"#);
        assert_eq!(ascii("\"\u{e9}\u{1f600}\u{7f}\""), r#""\u00e9\ud83d\ude00\u007f""#);
    }

    proptest! {
        #[test]
        fn any_text_is_one_inert_word_and_comes_back(text in any::<String>()) {
            let header = encoded(&text);
            prop_assert!(header.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~@%".contains(&b)));
            prop_assert_eq!(percent_decode_str(&header).decode_utf8().unwrap(), text.as_str());
        }

        #[test]
        fn any_json_stays_the_same_json(strings in any::<Vec<String>>()) {
            let json = Value::from(strings);
            let header = ascii(&json.to_string());
            prop_assert!(header.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
            prop_assert_eq!(serde_json::from_str::<Value>(&header).unwrap(), json);
        }

        #[test]
        fn any_identity_has_all_its_headers(
            [prefix, name, owner, auth, tenant] in any::<[String; 5]>()
        ) {
            let mut headers = HeaderMap::new();
            headers.insert("x-apikey-name", HeaderValue::from_static("forged"));
            set(&Identity { prefix, name: name.clone(), owner, auth, tenant }, &mut headers).unwrap();
            prop_assert_eq!(headers.len(), 5);
            prop_assert_eq!(headers["x-apikey-name"].to_str().unwrap(), encoded(&name));
        }
    }
}
