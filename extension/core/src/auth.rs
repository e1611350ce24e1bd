//! What a key may do, in one of three shapes: one level (`"event"`), a list of scopes
//! (`["event","ticket"]`), or an object of booleans (`{"event":true,"ticket":false}`).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::str::FromStr;

/// Kept and shown just as it was given.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Auth {
    Level(String),
    Scopes(Vec<String>),
    Rights(Map<String, Value>),
}

/// The text is not JSON of one of the three shapes.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("auth is neither a string, nor a list of strings, nor an object of booleans")]
pub struct NotAnAuth;

impl Auth {
    /// Whether this grants `scope`: it is the level, stands in the list, or is true in the object.
    pub fn grants(&self, scope: &str) -> bool {
        match self {
            Self::Level(level) => level == scope,
            Self::Scopes(scopes) => scopes.iter().any(|granted| granted == scope),
            Self::Rights(rights) => rights.get(scope) == Some(&Value::Bool(true)),
        }
    }
}

impl TryFrom<Value> for Auth {
    type Error = NotAnAuth;

    fn try_from(value: Value) -> Result<Self, NotAnAuth> {
        match value {
            Value::String(level) => Ok(Self::Level(level)),
            Value::Array(_) => Vec::deserialize(value).map(Self::Scopes).map_err(|_| NotAnAuth),
            Value::Object(rights) if rights.values().all(Value::is_boolean) => {
                Ok(Self::Rights(rights))
            }
            _ => Err(NotAnAuth),
        }
    }
}

impl FromStr for Auth {
    type Err = NotAnAuth;

    fn from_str(json: &str) -> Result<Self, NotAnAuth> {
        serde_json::from_str::<Value>(json).map_err(|_| NotAnAuth)?.try_into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn auth(json: &str) -> Auth {
        json.parse().unwrap_or_else(|_| panic!("{json} is an auth"))
    }

    #[test]
    fn each_shape_grants_what_it_names() {
        for json in [r#""event""#, r#"["ticket","event"]"#, r#"{"event":true,"ticket":false}"#] {
            assert!(auth(json).grants("event"), "{json}");
            for scope in ["even", "events", "Event", "", "*", "place"] {
                assert!(!auth(json).grants(scope), "{json} grants {scope:?}");
            }
        }
        assert!(!auth(r#"{"event":true,"ticket":false}"#).grants("ticket"));
    }

    #[test]
    fn other_json_is_no_auth() {
        for json in [
            "null",
            "true",
            "1",
            "[1]",
            r#"["event",null]"#,
            r#"[["event"]]"#,
            r#"{"event":"yes"}"#,
            r#"{"event":null}"#,
            "event",
            "",
            "{",
        ] {
            assert_eq!(json.parse::<Auth>(), Err(NotAnAuth), "{json}");
        }
    }

    fn any_auth() -> impl Strategy<Value = Auth> {
        let scope = "[A-Za-z0-9_.:/-]{1,64}";
        prop_oneof![
            scope.prop_map(Auth::Level),
            prop::collection::vec(scope, 1..8).prop_map(Auth::Scopes),
            prop::collection::hash_map(scope, any::<bool>(), 1..8).prop_map(|rights| {
                Auth::Rights(rights.into_iter().map(|(key, on)| (key, Value::Bool(on))).collect())
            }),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(auth in any_auth()) {
            let json = serde_json::to_string(&auth).unwrap_or_default();
            prop_assert_eq!(json.parse::<Auth>(), Ok(auth));
        }

        #[test]
        fn a_scope_that_is_not_named_is_not_granted(auth in any_auth(), scope in "[a-z]{1,8}") {
            let json = serde_json::to_string(&auth).unwrap_or_default();
            let quoted = format!("\"{scope}\"");
            prop_assert!(json.contains(&quoted) || !auth.grants(&scope));
        }

        #[test]
        fn text_that_is_no_json_is_refused(text in "[^\"\\[{]*") {
            prop_assert_eq!(text.parse::<Auth>(), Err(NotAnAuth));
        }
    }
}
