//! What a form or the query of an address says.

/// Fields in their order; some may be there several times.
#[derive(Clone, Default)]
pub struct Form(Vec<(String, String)>);

impl Form {
    pub fn parse(encoded: &[u8]) -> Self {
        Self(form_urlencoded::parse(encoded).into_owned().collect())
    }

    /// The value without blanks at its ends, or nothing where it is not there.
    pub fn get(&self, name: &str) -> &str {
        self.raw(name).trim()
    }

    /// The value as it was typed.
    pub fn raw(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str())
    }

    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub fn is_ticked(&self, name: &str) -> bool {
        self.all(name).next().is_some()
    }

    /// The same with another value of one field, as a query. Empty fields are left out.
    pub fn query_with(&self, name: &str, value: &str) -> String {
        let kept = self.0.iter().filter(|(key, value)| key != name && !value.is_empty());
        let pairs = kept.map(|(key, value)| (key.as_str(), value.as_str()));
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(pairs);
        if !value.is_empty() {
            query.append_pair(name, value);
        }
        query.finish()
    }

    /// Nothing that Postgres could not take as text.
    pub fn has_nul(&self) -> bool {
        self.0.iter().any(|(key, value)| key.contains('\0') || value.contains('\0'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields() {
        let form = Form::parse(b"name=+caf%C3%A9+&scope=a&scope=b&box=&bad=%ff");
        assert_eq!((form.get("name"), form.raw("name")), ("café", " café "));
        assert_eq!(form.all("scope").collect::<Vec<_>>(), ["a", "b"]);
        assert!(form.is_ticked("box") && !form.is_ticked("other"));
        assert_eq!(form.get("bad"), "\u{fffd}");
        assert!(!form.has_nul() && Form::parse(b"a=%00").has_nul());
    }

    #[test]
    fn a_query_with_another_page() {
        let form = Form::parse(b"q=a+b%26&status=&page=3");
        assert_eq!(form.query_with("page", "4"), "q=a+b%26&page=4");
        assert_eq!(form.query_with("page", ""), "q=a+b%26");
        assert_eq!(Form::default().query_with("page", ""), "");
    }
}
