//! What Postgres is asked about keys: the functions, each called once a row by one statement for many keys.

use std::net::IpAddr;

use tokio_postgres::types::{ToSql, Type};

/// About a key: where it came from, and the tenant whose key it has to be. Without `Debug`: a key is a secret.
pub struct Question {
    pub key: String,
    pub client: Option<IpAddr>,
    /// Of no account where `apikey_check` takes no tenant.
    pub tenant: String,
    pub asked: Asked,
}

/// What is asked. Each has a statement of its own, since a role may have the right to one function alone.
pub enum Asked {
    /// `apikey_check`: one column.
    Check,
    /// `apikey_authorize`: the columns of `apikey_decision`.
    Authorize { scope: Option<String> },
}

pub struct Statement {
    pub text: String,
    pub types: &'static [Type],
}

const TYPES: [Type; 4] = [Type::TEXT_ARRAY, Type::INET_ARRAY, Type::TEXT_ARRAY, Type::TEXT_ARRAY];

// Each row is one call, whatever becomes of the others, and the rows come in the order of the questions.
impl Statement {
    /// Version 0.1.0 of the extension takes no tenant: one shim asks in one of the two forms.
    pub fn check(schema: Option<&str>, with_tenant: bool) -> Self {
        let schema = qualifier(schema);
        let (tenant, tenants) = if with_tenant { (", tenant", ", $3::text[]") } else { ("", "") };
        let text = format!(
            "SELECT {schema}apikey_check(key, ip{tenant})::text \
             FROM unnest($1::text[], $2::inet[]{tenants}) WITH ORDINALITY AS q (key, ip{tenant}, place) \
             ORDER BY place"
        );
        Self { text, types: if with_tenant { &TYPES[..3] } else { &TYPES[..2] } }
    }

    /// In FROM, so that one call gives all columns of its row.
    pub fn authorize(schema: Option<&str>) -> Self {
        let schema = qualifier(schema);
        let text = format!(
            "SELECT allowed, reason, prefix, name, owner, auth::text, d.tenant \
             FROM unnest($1::text[], $2::inet[], $3::text[], $4::text[]) \
                  WITH ORDINALITY AS q (key, ip, tenant, scope, place), \
                  LATERAL {schema}apikey_authorize(q.key, q.ip, q.scope, q.tenant) AS d \
             ORDER BY place"
        );
        Self { text, types: &TYPES }
    }
}

/// The questions of one statement, a column for each parameter.
pub struct Parameters<'a> {
    keys: Vec<&'a str>,
    clients: Vec<Option<IpAddr>>,
    tenants: Vec<&'a str>,
    scopes: Vec<Option<&'a str>>,
}

impl<'a> Parameters<'a> {
    pub fn of(questions: &[&'a Question]) -> Self {
        Self {
            keys: questions.iter().map(|question| question.key.as_str()).collect(),
            clients: questions.iter().map(|question| question.client).collect(),
            tenants: questions.iter().map(|question| question.tenant.as_str()).collect(),
            scopes: questions.iter().map(|question| question.asked.scope()).collect(),
        }
    }

    /// In the order of the types. A statement takes as many as it has types.
    pub fn all(&self) -> [&(dyn ToSql + Sync); TYPES.len()] {
        [&self.keys, &self.clients, &self.tenants, &self.scopes]
    }
}

impl Asked {
    fn scope(&self) -> Option<&str> {
        match self {
            Self::Check => None,
            Self::Authorize { scope } => scope.as_deref(),
        }
    }
}

fn qualifier(schema: Option<&str>) -> String {
    schema.map(|name| format!("\"{}\".", name.replace('"', "\"\""))).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemas_are_quoted() {
        assert_eq!(qualifier(None), "");
        assert_eq!(qualifier(Some("apikey")), "\"apikey\".");
        assert_eq!(qualifier(Some("Odd \"name")), "\"Odd \"\"name\".");
    }
}
