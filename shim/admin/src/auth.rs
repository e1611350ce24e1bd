//! The auth of a key: what it grants, and how one is made from what was chosen or typed.

use serde_json::{Map, Value};

/// What an auth grants, whatever its shape.
pub fn granted(auth: &Value) -> Vec<String> {
    match auth {
        Value::String(level) => vec![level.clone()],
        Value::Array(list) => list.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        Value::Object(members) => {
            let is_true = members.iter().filter(|(_, value)| **value == Value::Bool(true));
            is_true.map(|(name, _)| name.clone()).collect()
        }
        _ => Vec::new(),
    }
}

/// An auth that grants these. A new one is a string for one level, and otherwise a list. One that
/// was an object or a list stays so, for the sake of whoever reads it.
pub fn granting(chosen: &[String], before: Option<&Value>) -> Value {
    match (before, chosen) {
        (Some(Value::Object(members)), _) => {
            let mut object: Map<_, _> =
                members.keys().map(|name| (name.clone(), Value::Bool(false))).collect();
            object.extend(chosen.iter().map(|name| (name.clone(), Value::Bool(true))));
            Value::Object(object)
        }
        (None | Some(Value::String(_)), [level]) => Value::String(level.clone()),
        _ => Value::Array(chosen.iter().cloned().map(Value::String).collect()),
    }
}

/// One level, or several, with blanks or commas between them.
pub fn typed(text: &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in text.split([' ', ',', ';', '\t', '\r', '\n']).filter(|name| !name.is_empty()) {
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn shapes_are_kept() {
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let (a, ab) = (names(&["a"]), names(&["a", "b"]));
        assert_eq!(granting(&a, None), json!("a"));
        assert_eq!(granting(&ab, None), json!(["a", "b"]));
        assert_eq!(granting(&a, Some(&json!("x"))), json!("a"));
        assert_eq!(granting(&ab, Some(&json!("x"))), json!(["a", "b"]));
        assert_eq!(granting(&a, Some(&json!(["x"]))), json!(["a"]));
        let object = json!({"b": true, "c": false});
        assert_eq!(granting(&a, Some(&object)), json!({"b": false, "c": false, "a": true}));
        for before in [json!("x"), json!(["x", "y"]), json!({"x": true, "y": false})] {
            assert_eq!(granting(&granted(&before), Some(&before)), before, "unchanged");
        }
    }

    #[test]
    fn what_is_typed() {
        assert_eq!(typed(" event,ticket  event\r\n"), ["event", "ticket"]);
        assert!(typed(" , ").is_empty());
    }
}
