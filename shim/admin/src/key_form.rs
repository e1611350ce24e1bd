//! The form of a key: what was typed, kept as it was, and what is wrong with it. The rules are the
//! table's, said beside the field before the database has to.

use apikey_format::{Network, is_scope};

use crate::auth;
use crate::db::key::Key;
use crate::db::scopes::Scope;
use crate::form::Form;
use crate::lang::Texts;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    Name,
    Auth,
    Ips,
    ExpiresAt,
    Owner,
    Tenant,
    CreateRevoke,
}

/// The values, as they were typed or as the key has them.
#[derive(Clone, Default)]
pub struct KeyForm {
    pub name: String,
    /// The line of levels, where the DBA keeps no scopes.
    pub auth: String,
    /// The boxes that are ticked, where scopes are kept.
    pub chosen: Vec<String>,
    pub ips: String,
    pub expires_at: String,
    pub owner: String,
    pub tenant: String,
    pub create_revoke: bool,
}

pub type Mistake = (Field, String);

impl KeyForm {
    pub fn of_form(form: &Form) -> Self {
        Self {
            name: form.get("name").to_owned(),
            auth: form.get("auth").to_owned(),
            chosen: form.all("scope").map(str::to_owned).collect(),
            ips: form.get("ips").to_owned(),
            expires_at: form.get("expires_at").replace(' ', "T"),
            owner: form.get("owner").to_owned(),
            tenant: form.get("tenant").to_owned(),
            create_revoke: form.is_ticked("create_revoke"),
        }
    }

    pub fn of_key(key: &Key) -> Self {
        let chosen = auth::granted(&key.auth);
        Self {
            name: key.name.clone(),
            auth: chosen.join(", "),
            chosen,
            ips: key.ips.join("\n"),
            expires_at: expires_input(key),
            owner: key.owner.clone(),
            tenant: key.tenant.clone(),
            create_revoke: false,
        }
    }

    /// Keeps the key's own name and owner where nobody changed them. A browser sends them without
    /// their ends of lines.
    pub fn keeping(mut self, form: &Form, key: &Key) -> Self {
        let line = |text: &str| text.replace(['\r', '\n'], "");
        let is_same = |name: &str, value: &str| line(form.raw(name)) == line(value);
        if is_same("name", &key.name) {
            self.name.clone_from(&key.name);
        }
        if is_same("owner", &key.owner) {
            self.owner.clone_from(&key.owner);
        }
        self
    }

    /// Whether the field says another thing than the key's own.
    pub fn differs(&self, field: Field, key: &Key) -> bool {
        let theirs = Self::of_key(key);
        match field {
            Field::Name => self.name != theirs.name,
            Field::Auth => sorted(self.scopes()) != sorted(theirs.scopes()),
            Field::Ips => self.networks() != theirs.networks(),
            Field::ExpiresAt => self.expires_at != theirs.expires_at,
            Field::Owner => self.owner != theirs.owner,
            Field::Tenant => self.tenant != theirs.tenant,
            Field::CreateRevoke => self.create_revoke,
        }
    }

    /// The scopes that are asked for, from the boxes or from the line.
    pub fn scopes(&self) -> Vec<String> {
        let mut names = auth::typed(&self.auth);
        for name in &self.chosen {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        names
    }

    /// The addresses as an array of SQL, or nothing for none.
    pub fn networks(&self) -> String {
        let networks = addresses(&self.ips).collect::<Vec<_>>();
        if networks.is_empty() { String::new() } else { format!("{{{}}}", networks.join(",")) }
    }

    pub fn mistakes(&self, known: &[Scope], texts: &Texts) -> Vec<Mistake> {
        let mut mistakes = Vec::new();
        let mut wrong = |field, sentence: &str| mistakes.push((field, sentence.to_owned()));
        if self.name.is_empty() {
            wrong(Field::Name, texts.name_missing);
        } else if self.name.chars().count() > 200 {
            wrong(Field::Name, texts.name_long);
        }
        let scopes = self.scopes();
        if scopes.is_empty() && known.is_empty() {
            wrong(Field::Auth, texts.auth_missing);
        } else if scopes.is_empty() {
            wrong(Field::Auth, texts.scope_missing);
        } else if scopes.len() > 64 || !scopes.iter().all(|name| is_scope(name)) {
            wrong(Field::Auth, texts.auth_shape);
        }
        let unreadable: Vec<_> =
            addresses(&self.ips).filter(|ip| Network::parse(ip).is_none()).collect();
        if !unreadable.is_empty() {
            wrong(Field::Ips, &(texts.ips_wrong)(&unreadable.join(", ")));
        } else if addresses(&self.ips).count() > 64 {
            wrong(Field::Ips, texts.ips_many);
        }
        if !self.expires_at.is_empty() && !is_moment(&self.expires_at) {
            wrong(Field::ExpiresAt, texts.expires_wrong);
        }
        if self.owner.chars().count() > 200 {
            wrong(Field::Owner, texts.owner_long);
        }
        if self.tenant.chars().count() > 200 {
            wrong(Field::Tenant, texts.tenant_long);
        }
        mistakes
    }
}

/// Their order means nothing.
pub fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names
}

/// What the database has against it, if that is about a field.
pub fn mistake_of(error: &tokio_postgres::Error, texts: &Texts) -> Option<Mistake> {
    let said = error.as_db_error()?;
    let (field, sentence) = match said.code().code() {
        "23505" => (Field::Name, texts.name_taken),
        "22023" => (Field::Auth, texts.scope_unknown),
        "22007" | "22008" => (Field::ExpiresAt, texts.expires_wrong),
        "22P02" => (Field::Ips, texts.ips_refused),
        // apikey_create names the rule at the end of its message, Postgres in a field of its own.
        "23514" => match said.constraint().or(said.message().split(' ').next_back())? {
            "name_not_blank" => (Field::Name, texts.name_missing),
            "owner_not_blank" => (Field::Owner, texts.owner_long),
            "auth_shape" => (Field::Auth, texts.auth_shape),
            "allowed_ips_not_empty" => (Field::Ips, texts.ips_many),
            "tenant_shape" => (Field::Tenant, texts.tenant_long),
            "expires_after_creation" => (Field::ExpiresAt, texts.expires_past),
            _ => return None,
        },
        _ => return None,
    };
    Some((field, sentence.to_owned()))
}

/// One a line; commas and blanks do as well.
fn addresses(text: &str) -> impl Iterator<Item = &str> {
    text.split(|character: char| character.is_whitespace() || ",;".contains(character))
        .filter(|address| !address.is_empty())
}

/// The expiry as `<input type="datetime-local">` has it. It is empty where the input cannot have
/// it, and then stays as it is.
fn expires_input(key: &Key) -> String {
    let moment = key.expires_at.as_deref().unwrap_or_default().replace(' ', "T");
    if is_moment(&moment) { moment } else { String::new() }
}

/// `2027-01-31T12:30`, with seconds or not, or a day. Whether there is such a day, Postgres knows.
fn is_moment(text: &str) -> bool {
    let patterns = ["####-##-##", "####-##-##T##:##", "####-##-##T##:##:##"];
    let fits = |pattern: &str| {
        pattern.len() == text.len()
            && pattern.bytes().zip(text.bytes()).all(|(wanted, byte)| match wanted {
                b'#' => byte.is_ascii_digit(),
                _ => byte == wanted,
            })
    };
    patterns.into_iter().any(fits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lang::Language;

    fn fields(form: &str) -> Vec<Field> {
        let input = KeyForm::of_form(&Form::parse(form.as_bytes()));
        let mistakes = input.mistakes(&[], Language::English.texts());
        mistakes.into_iter().map(|(field, _)| field).collect()
    }

    #[test]
    fn what_will_do() {
        for form in [
            "name=cashless&auth=event",
            "name=a&scope=a&scope=b&ips=12.34.56.78",
            "name=a&auth=a&ips=10.0.0.0/8%0D%0A2001:db8::/32,::1",
            "name=a&auth=a&expires_at=2027-01-31T12:30",
            "name=a&auth=a&expires_at=2027-01-31+12:30",
            "name=a&auth=a&expires_at=2027-01-31",
        ] {
            assert_eq!(fields(form), [], "{form}");
        }
    }

    #[test]
    fn what_will_not_is_said_at_its_field() {
        let long = "n".repeat(201);
        for (form, field) in [
            ("name=+&auth=a", Field::Name),
            (&format!("name={long}&auth=a"), Field::Name),
            ("name=a", Field::Auth),
            ("name=a&auth=%C3%A9", Field::Auth),
            ("name=a&auth=a&ips=12.34.56", Field::Ips),
            ("name=a&auth=a&ips=10.0.0.0/33", Field::Ips),
            ("name=a&auth=a&ips=localhost", Field::Ips),
            ("name=a&auth=a&expires_at=tomorrow", Field::ExpiresAt),
            ("name=a&auth=a&expires_at=infinity", Field::ExpiresAt),
            (&format!("name=a&auth=a&owner={long}"), Field::Owner),
            (&format!("name=a&auth=a&tenant={long}"), Field::Tenant),
        ] {
            assert_eq!(fields(form), [field], "{form}");
        }
    }

    #[test]
    fn networks_as_sql_has_them() {
        let input = KeyForm { ips: "10.0.0.0/8\r\n ::1".to_owned(), ..KeyForm::default() };
        assert_eq!(input.networks(), "{10.0.0.0/8,::1}");
        assert_eq!(KeyForm::default().networks(), "");
    }
}
